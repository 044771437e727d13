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
  /** Up to `limit` callbacks due at `now`; each is put off to `retryAt` in the same transaction, so that a crash repeats it. */
  claimCallbacks(p: { now: number; retryAt: number; limit: number }): Promise<Callback[]>;
  /** Delivered, or given up. */
  finishCallback(p: { callbackId: number }): Promise<void>;
  retryCallback(p: { callbackId: number; at: number }): Promise<void>;
  /** When the next callback is due; undefined when none waits. */
  nextCallback(): Promise<number | undefined>;
}
