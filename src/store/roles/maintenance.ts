/** Upkeep of the database, its health, its size, and counts by minute. */
import type { ExecutionStatus } from '../../core/execution.ts';
import type { Machine } from './machines.ts';

export interface Statistics {
  /** By status, those that are not terminal. */
  executions: Partial<Record<ExecutionStatus, number>>;
  oldestWaitingAt?: number;
  machines: Partial<Record<Machine['phase'], number>>;
}

export interface MaintenanceStore {
  /** Resolves when a write has been committed. Rejects with StoreUnavailableError. For readiness and for recovery. */
  checkWritable(): Promise<void>;
  /**
   * Deletes up to `limit` finished executions completed before `before`, the longest finished first, fewer if they are large. Returns how
   * many. They disappear at once for all readers; `maintain` frees their space.
   */
  deleteFinished(p: { before: number; limit: number }): Promise<number>;
  /** Removes expired Idempotency-Keys and spent join tokens. Returns how many. */
  forgetExpired(p: { now: number; limit: number }): Promise<number>;
  /**
   * Performs one small step of upkeep: clears the remains of deleted executions and returns free space to the disk, with priority if the
   * database exceeds `maxBytes` (0: no limit). False: nothing is left to do.
   */
  maintain(p: { maxBytes: number }): Promise<boolean>;
  /** Bytes in use. Deleted data counts until `maintain` has cleared it. */
  usedBytes(): Promise<number>;
  /** Counts for metrics. */
  statistics(): Promise<Statistics>;
}

/** Counts by minute, for charts. Several servers add to the same ones. */
export interface MinuteCount {
  /** Minutes since the epoch. */
  minute: number;
  /** Name of the counter. */
  name: string;
  count: number;
}

export interface CountStore {
  /** Adds to the counts, and removes the minutes before `forgetBefore`. */
  addCounts(p: { counts: readonly MinuteCount[]; forgetBefore: number }): Promise<void>;
  /**
   * Counts from the minute `from` on, summed over spans of `step` minutes; each under the first minute of its span, a multiple of `step`.
   */
  listCounts(p: { from: number; step: number }): Promise<MinuteCount[]>;
  /** Callbacks that were tried more than once and are not delivered yet. */
  failingCallbacks(): Promise<number>;
}

/** Contents of one commit, for metrics. */
export interface CommitStatistics {
  writes: number;
  /** Duration of the work and the flush together. */
  durationMs: number;
}
