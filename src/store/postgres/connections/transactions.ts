/** Runs transactions of several round trips, each with exclusive use of a connection. */
import { StoreUnavailableError } from '../../store.ts';
import { type Body, transact } from './commit.ts';
import type { Connection } from './connection.ts';
import type { Statement } from './statement-group.ts';
import { asStoreError } from './failures.ts';
import { ConnectionSlot } from './slots.ts';
import type { DatabaseAddress } from './url.ts';

/** Maximum number of waiting transactions. Callers wait for their transactions, so more than this means a fault. */
const MAX_WAITING = 100_000;

/** Runs transactions, each on a connection of a bounded pool. */
export class Transactions {
  readonly #address: DatabaseAddress;
  readonly #free: ConnectionSlot[];
  readonly #slots: readonly ConnectionSlot[];
  readonly #waiting: ((slot: ConnectionSlot) => void)[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(address: DatabaseAddress, connections: number) {
    this.#address = address;
    this.#slots = Array.from({ length: connections }, () => new ConnectionSlot(address, { isExclusive: true }));
    this.#free = [...this.#slots];
  }

  /** See `transact`. */
  run<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#run(async (connection) => ({ result: await body(connection) }));
  }

  /** Like `run`, for work that is repeated regularly: a crash of the database may lose it. */
  poll<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#run(async (connection) => ({ result: await body(connection), disposable: true }));
  }

  /**
   * Runs one statement in one round trip, without a transaction. If its answer is lost, its outcome is unknown: for work that is repeated
   * regularly. Rejects with StoreUnavailableError.
   */
  once<Row extends object>(statement: Statement): Promise<Row[]> {
    return this.#track((slot) => runOnce<Row>(slot, statement));
  }

  #run<T>(body: Body<T>): Promise<T> {
    return this.#track((slot) => transact(slot, this.#address, body));
  }

  async #track<T>(work: (slot: ConnectionSlot) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreUnavailableError('the store is closed');
    if (this.#waiting.length >= MAX_WAITING) throw new StoreUnavailableError('too many writes wait');
    const run = this.#runOn(work);
    this.#running.add(run);
    return run.finally(() => this.#running.delete(run));
  }

  /** Settles when all started transactions have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  async #runOn<T>(work: (slot: ConnectionSlot) => Promise<T>): Promise<T> {
    const slot = this.#free.pop() ?? (await new Promise<ConnectionSlot>((resolve) => this.#waiting.push(resolve)));
    try {
      return await work(slot);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(slot);
      else next(slot);
    }
  }
}

async function runOnce<Row extends object>(slot: ConnectionSlot, statement: Statement): Promise<Row[]> {
  const connection = await slot.get();
  return connection.query<Row>(statement).catch((error: unknown) => {
    throw asStoreError(error);
  });
}
