/** Group commit: all writes that arrive in one turn of the event loop share one transaction and one disk flush. */
import { StoreUnavailableError } from '../../store.ts';
import type { CommitStatistics } from '../../roles/maintenance.ts';
import type { Database, Statement } from './database.ts';
import { asStoreError } from './unavailable.ts';

/** A write: synchronous, and repeatable after a rollback, so it changes nothing but the database. */
type Work<T> = () => T;

interface Waiting {
  work: Work<unknown>;
  bytes: number;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

export interface WriterHooks {
  /** Called for every commit, after its writes have settled. Must not throw. */
  onCommit?: ((statistics: CommitStatistics) => void) | undefined;
  /** Called when no write waits after a batch. */
  onIdle: () => void;
}

/** Bounds on one transaction: how long the event loop is blocked, and how far the WAL grows beyond its limit. */
const BATCH_WRITES = 1024;
const BATCH_BYTES = 8 * 1024 * 1024;
/** Maximum number of waiting writes. Callers wait for their writes, so more than this means a fault. */
const QUEUE_WRITES = 100_000;
/** A COMMIT of more than this leaves the checkpoint to the next COMMIT, because each of the two blocks the event loop for 40 ms. */
const LARGE_BATCH_BYTES = 1024 * 1024;

type Attempt = { ok: true; results: unknown[]; durationMs: number } | { ok: false; error: unknown };

/** The only writer of a database. */
export class Writer {
  private readonly db: Database;
  private readonly statements: Record<'begin' | 'commit' | 'rollback', Statement<[]>>;
  /** Number of WAL pages above which a COMMIT writes them back into the file. */
  private readonly checkpointPages: number;
  /** Whether the last COMMIT left the checkpoint to the next one. */
  private checkpointLeft = false;
  private readonly hooks: WriterHooks;
  private queue: Waiting[] = [];
  /** Writes that may wait to share a transaction with other writes, because several of them change the same pages. */
  private deferred: Waiting[] = [];
  /** The time from which the deferred writes join the next transaction, ms as by performance.now(). */
  private ripeAt = 0;
  private deferral: NodeJS.Timeout | undefined;
  private scheduled = false;
  private closed = false;
  private drained: (() => void) | undefined;

  constructor(db: Database, hooks: WriterHooks) {
    this.db = db;
    this.hooks = hooks;
    this.checkpointPages = db.pragma('wal_autocheckpoint', { simple: true }) as number;
    this.statements = {
      begin: db.prepare<[]>('BEGIN IMMEDIATE'),
      commit: db.prepare<[]>('COMMIT'),
      rollback: db.prepare<[]>('ROLLBACK'),
    };
  }

  /**
   * Runs `work` in the next transaction; settles after its COMMIT. `bytes`: number of bytes that it writes, if large. `withinMs`: time for
   * which it may wait to share a transaction and a flush with other writes; with 0 it does not wait, and deferred writes run before it.
   * Rejects with the error that `work` throws (then none of its changes are written), or with StoreUnavailableError.
   */
  write<T>(work: Work<T>, bytes = 0, withinMs?: number): Promise<T> {
    if (this.closed) return Promise.reject(new StoreUnavailableError('the store is closed'));
    if (this.queue.length + this.deferred.length >= QUEUE_WRITES)
      return Promise.reject(new StoreUnavailableError('too many writes wait'));
    return new Promise<T>((resolve, reject) => {
      const waiting = { work, bytes, resolve: resolve as (value: unknown) => void, reject };
      if (withinMs !== undefined && withinMs > 0) {
        this.defer(waiting, withinMs);
        return;
      }
      if (withinMs === 0) this.ripeAt = 0;
      this.queue.push(waiting);
      this.schedule();
    });
  }

  /** Settles when all submitted writes have settled. Later writes are refused. */
  close(): Promise<void> {
    this.closed = true;
    if (this.deferred.length > 0) this.schedule();
    if (!this.scheduled) return Promise.resolve();
    return new Promise((resolve) => {
      this.drained = resolve;
    });
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.flush());
  }

  private defer(waiting: Waiting, withinMs: number): void {
    if (this.deferred.length === 0) this.ripeAt = performance.now() + withinMs / 2;
    this.deferred.push(waiting);
    if (this.deferred.length >= BATCH_WRITES) this.schedule();
    else this.deferral ??= setTimeout(() => this.schedule(), withinMs).unref();
  }

  /** Deferred writes join this transaction if they have waited for half of their time, or if it has no other write. */
  private takeDeferred(): void {
    const isRipe = this.closed || this.queue.length === 0 || this.deferred.length >= BATCH_WRITES;
    if (!isRipe && performance.now() < this.ripeAt) return;
    clearTimeout(this.deferral);
    this.deferral = undefined;
    this.queue.unshift(...this.deferred.splice(0));
  }

  private flush(): void {
    this.scheduled = false;
    this.takeDeferred();
    this.runTogether(this.takeBatch());
    if (this.queue.length > 0) {
      this.schedule();
      return;
    }
    this.hooks.onIdle();
    this.drained?.();
  }

  private takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.queue) {
      bytes += waiting.bytes;
      if (count > 0 && (count === BATCH_WRITES || bytes > BATCH_BYTES)) break;
      count += 1;
    }
    const batch = this.queue.slice(0, count);
    this.queue = this.queue.slice(count);
    return batch;
  }

  private runTogether(batch: readonly Waiting[]): void {
    const attempt = this.attempt(batch);
    if (attempt.ok) {
      for (const [index, waiting] of batch.entries()) waiting.resolve(attempt.results[index]);
      this.hooks.onCommit?.({ writes: batch.length, durationMs: attempt.durationMs });
    } else if (attempt.error instanceof StoreUnavailableError || batch.length === 1) {
      for (const waiting of batch) waiting.reject(attempt.error);
    } else {
      // One of the writes has a fault. Each runs alone, so that only the faulty one fails.
      for (const waiting of batch) this.runTogether([waiting]);
    }
  }

  private attempt(batch: readonly Waiting[]): Attempt {
    const startedAt = performance.now();
    const isLarge = batch.reduce((sum, { bytes }) => sum + bytes, 0) > LARGE_BATCH_BYTES;
    // Never twice in a row: a flood of large commits would let the WAL grow without a bound.
    const leaves = isLarge && !this.checkpointLeft;
    this.checkpointLeft = leaves;
    try {
      if (leaves) this.db.pragma('wal_autocheckpoint = 0');
      this.statements.begin.run();
      const results = batch.map((waiting) => waiting.work());
      this.statements.commit.run();
      return { ok: true, results, durationMs: performance.now() - startedAt };
    } catch (error) {
      return { ok: false, error: this.undo(error) };
    } finally {
      if (leaves) this.db.pragma(`wal_autocheckpoint = ${this.checkpointPages}`);
    }
  }

  /** Leaves no transaction open: some failures end it by themselves, a failed COMMIT does not. */
  private undo(error: unknown): unknown {
    try {
      if (this.db.inTransaction) this.statements.rollback.run();
    } catch (rollbackError) {
      return new StoreUnavailableError('a transaction could not be rolled back', { cause: rollbackError });
    }
    return asStoreError(error);
  }
}
