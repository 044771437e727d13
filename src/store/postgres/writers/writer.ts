/** Group commit: writes that arrive while a batch of the writer runs share the next transaction. */
import type { CommitStatistics } from '../../roles/maintenance.ts';
import { type Machine, StoreUnavailableError } from '../../store.ts';
import { BegunTransaction } from '../connections/begun.ts';
import { type Done, transact } from '../connections/commit.ts';
import type { Connection } from '../connections/connection.ts';
import { BY_INDEX, ConnectionSlot } from '../connections/slots.ts';
import type { DatabaseAddress } from '../connections/url.ts';
import { Batch } from './batch.ts';
import { flushStatements } from './flush.ts';
import { KnownRows } from './known-rows.ts';
import { drawKeysAhead, load } from './load.ts';
import type { Work } from './needs.ts';

interface Waiting {
  work: Work<unknown>;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

export interface WriterHooks {
  /** Called for every commit, after its writes have settled. Must not throw. */
  onCommit?: ((statistics: CommitStatistics) => void) | undefined;
  /** Called for every machine that changed, after the commit. Must not throw. */
  onMachine?: ((machine: Machine) => void) | undefined;
}

interface Written {
  results: unknown[];
  machines: readonly Machine[];
}

/** Bounds on one transaction. */
const BATCH_WRITES = 1024;
const BATCH_BYTES = 8 * 1024 * 1024;
/** Maximum number of waiting writes. Callers wait for their writes, so more than this means a fault. */
const MAX_WAITING = 100_000;

/**
 * Forces generic plans: otherwise PostgreSQL plans a statement on an array each time, which takes longer than its execution. Joins go through
 * the rows of a statement in their order, which is that of the locks, and look each of them up.
 */
const PLANNED_ONCE = {
  text: `${BY_INDEX.text}; SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off; SET enable_mergejoin = off`,
};

/** One writer: commits batches of writes, one after the other, on one connection. */
export class Writer {
  readonly #address: DatabaseAddress;
  readonly #slot: ConnectionSlot;
  readonly #hooks: WriterHooks;
  readonly #begun = new BegunTransaction();
  readonly #known = new KnownRows();
  #waiting: Waiting[] = [];
  /** Calls that settle the writes of finished batches, in order. */
  #finished: (() => void)[] = [];
  #running: Promise<void> | undefined;
  #batchStartedAt: number | undefined;
  #closed = false;

  constructor(address: DatabaseAddress, hooks: WriterHooks) {
    this.#address = address;
    this.#slot = new ConnectionSlot(address, { settings: PLANNED_ONCE, isExclusive: true });
    this.#hooks = hooks;
  }

  /** Time for which the present batch has run, ms; 0 if no batch runs. */
  get busyMs(): number {
    return this.#batchStartedAt === undefined ? 0 : performance.now() - this.#batchStartedAt;
  }

  /** Settles after the COMMIT. Rejects with the error that the work throws (none of its changes are written), or StoreUnavailableError. */
  write<T>(work: Work<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new StoreUnavailableError('the store is closed'));
    if (this.#waiting.length >= MAX_WAITING) return Promise.reject(new StoreUnavailableError('too many writes wait'));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Settles when all submitted writes have settled. Later writes are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    this.#begun.drop();
    await this.#slot.close();
  }

  async #drain(): Promise<void> {
    // Writes submitted in the same turn of the event loop share a batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const finished = this.#runTogether(this.#takeBatch());
      // In a later turn than this batch is sent in: the database works on it while the callers of the last one are answered.
      setImmediate(() => this.#settle());
      await finished;
      if (this.#waiting.length === 0) this.#settle();
    }
    this.#batchStartedAt = undefined;
    // In the same turn as the last check: a write submitted later starts a new loop.
    this.#running = undefined;
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { work } of this.#waiting) {
      bytes += work.bytes ?? 0;
      if (count > 0 && (count === BATCH_WRITES || bytes > BATCH_BYTES)) break;
      count += 1;
    }
    const batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return batch;
  }

  #settle(): void {
    const finished = this.#finished;
    this.#finished = [];
    for (const settle of finished) settle();
  }

  async #runTogether(batch: readonly Waiting[]): Promise<void> {
    const startedAt = performance.now();
    this.#batchStartedAt = startedAt;
    try {
      const works = batch.map(({ work }) => work);
      let attempts = 0;
      const run = (connection: Connection) => {
        attempts += 1;
        if (attempts > 1) this.#known.pause();
        return runBatch(connection, works, this.#known);
      };
      const done = await transact(this.#slot, this.#address, run, this.#begun);
      const statistics = { writes: batch.length, durationMs: performance.now() - startedAt };
      this.#finished.push(() => {
        for (const [index, waiting] of batch.entries()) waiting.resolve(done.results[index]);
        const { onMachine, onCommit } = this.#hooks;
        if (onMachine !== undefined) done.machines.forEach(onMachine);
        onCommit?.(statistics);
      });
    } catch (error) {
      if (error instanceof StoreUnavailableError || batch.length === 1) {
        this.#finished.push(() => {
          for (const waiting of batch) waiting.reject(error);
        });
      } else {
        // One of the writes has a fault. Each runs alone, so that only the faulty one fails.
        for (const waiting of batch) await this.#runTogether([waiting]);
      }
    }
  }
}

/** Runs a batch of any size in two round trips: one loads, the other writes and commits. The first one is left out if all rows are known. */
async function runBatch(
  connection: Connection,
  works: readonly Work<unknown>[],
  known: KnownRows,
): Promise<Done<Written>> {
  const needs = works.map((work) => work.needs);
  const reused = known.take(connection, needs);
  const batch = new Batch(await load(connection, needs, reused));
  const results = works.map((work) => work.run(batch));
  const last = [...flushStatements(batch), ...works.flatMap(({ statements = [] }) => statements)];
  const creates = needs.some((own) => own.creates === 'execution');
  let freshKeys: readonly number[] = [];
  const drawn = creates ? drawKeysAhead(connection, known.freshKeyCount) : Promise.resolve([]);
  drawn.then(
    (keys) => {
      freshKeys = keys;
    },
    // The transaction fails with it.
    () => undefined,
  );
  const onCommitted = (transactionId: string): void => known.keep(connection, { transactionId, batch, freshKeys });
  return { result: { results, machines: batch.machines.changed() }, last, onCommitted };
}
