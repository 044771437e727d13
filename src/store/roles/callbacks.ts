/** Callbacks: each is written in the transaction that ends its execution, and stays until it is delivered or given up. */
import type { Execution } from '../../core/execution.ts';
import type { Page, PageRequest } from './pages.ts';

export interface Callback {
  callbackId: number;
  /** Counts from 1. */
  attempt: number;
  createdAt: number;
  url: string;
  execution: Execution;
}

/** A callback, as shown to people. */
export interface WaitingCallback {
  callbackId: number;
  machineId: string;
  executionId: string;
  url: string;
  /** Number of attempts so far. */
  attempts: number;
  createdAt: number;
  /** Time of the next attempt. */
  dueAt: number;
}

export interface CallbackStore {
  /** Callbacks that are not delivered yet, newest first. */
  listCallbacks(p: PageRequest): Promise<Page<WaitingCallback>>;
  /** Up to `limit` callbacks due at `now`. Each is postponed to `retryAt` in the same transaction, so that a crash repeats it. */
  claimCallbacks(p: { now: number; retryAt: number; limit: number }): Promise<Callback[]>;
  /** Removes a callback that was delivered or given up. */
  finishCallback(p: { callbackId: number }): Promise<void>;
  retryCallback(p: { callbackId: number; at: number }): Promise<void>;
  /** Time at which the next callback is due. Undefined if none waits. */
  nextCallback(): Promise<number | undefined>;
}
