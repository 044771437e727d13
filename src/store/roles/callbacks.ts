/** Callbacks: each is written in the transaction that ends its execution, and stays until it is delivered or given up. */
import type { Execution } from '../../core/execution.ts';

export interface Callback {
  callbackId: number;
  /** Counts from 1. */
  attempt: number;
  createdAt: number;
  url: string;
  execution: Execution;
}

export interface CallbackStore {
  /** Up to `limit` callbacks due at `now`. Each is postponed to `retryAt` in the same transaction, so that a crash repeats it. */
  claimCallbacks(p: { now: number; retryAt: number; limit: number }): Promise<Callback[]>;
  /** Removes a callback that was delivered or given up. */
  finishCallback(p: { callbackId: number }): Promise<void>;
  retryCallback(p: { callbackId: number; at: number }): Promise<void>;
  /** Time at which the next callback is due. Undefined if none waits. */
  nextCallback(): Promise<number | undefined>;
}
