/** Batches: one command on many machines. */
import type { BatchStatus } from '../../../core/decisions/batch.ts';
import type { Execution } from '../../../core/execution.ts';
import type { ExecutionStatus } from '../../../core/execution-status.ts';
import type { ActorRevoked, Idempotency, OnBehalf, Replay } from '../idempotency.ts';
import type { Page, PageRequest } from '../pages.ts';

export interface NewBatch {
  batchId: string;
  /** In the order in which they get their executions; each once. */
  machineIds: readonly string[];
  /** The sealed command; erased when the batch is over. */
  sealedRequest: Buffer;
  maxConcurrency: number;
  maxFailures?: number;
  /** API key id, or `admin`. */
  createdBy: string;
}

export interface Batch extends Pick<NewBatch, 'batchId' | 'maxConcurrency' | 'maxFailures' | 'createdBy'> {
  status: BatchStatus;
  /** The argv of its executions; absent while it has none, and once they are deleted. */
  command?: readonly string[];
  /** Machines by the status of their execution; `pending`: it has none yet. */
  counts: Partial<Record<ExecutionStatus | 'pending', number>>;
  createdAt: number;
  completedAt?: number;
}

/** A machine of a batch that gets its execution next. */
export interface BatchMember {
  position: number;
  machineId: string;
  /** The Idempotency-Key for its creation. A replay of SPENT means that it must not be made any more. */
  idempotency: Idempotency;
}

export interface BatchStore {
  /** `machine_not_found`: names the machines that do not exist, or not any more. */
  createBatch(
    p: { batch: NewBatch; now: number } & OnBehalf,
  ): Promise<
    | { outcome: 'created'; batch: Batch }
    | { outcome: 'machine_not_found'; machineIds: string[] }
    | Replay
    | ActorRevoked
  >;
  getBatch(p: { batchId: string }): Promise<Batch | undefined>;
  /** Newest first; with `createdBy` only batches of this key. */
  listBatches(p: { createdBy?: string } & PageRequest): Promise<Page<Batch>>;
  /** In the order of the machines; without machines that have none, or whose execution was deleted. */
  listBatchExecutions(p: { batchId: string } & PageRequest): Promise<Page<Execution>>;
  /**
   * No execution is made any more: the keys of those that have none are spent, and one that was made but not noted is noted. Those that
   * are not finished are for the caller to cancel.
   */
  cancelBatch(
    p: { batchId: string; now: number } & OnBehalf,
  ): Promise<{ outcome: 'applied' | 'stale'; batch: Batch } | { outcome: 'not_found' } | Replay | ActorRevoked>;
  /** Running batches that no other living server continues. */
  listRunningBatches(): Promise<string[]>;
  /**
   * Counts the executions that have ended, ends the batch if it is over, and returns the machines that get their execution now. Undefined if
   * the batch does not exist, or another live server advances it. Otherwise this server advances it from now on.
   */
  advanceBatch(p: { batchId: string; now: number }): Promise<BatchAdvance | undefined>;
  /** The member has its execution; or `failed`: it could not be made. */
  setBatchMember(p: {
    batchId: string;
    position: number;
    result: { executionId: string } | { outcome: 'failed' };
  }): Promise<void>;
  /**
   * Deletes batches that ended before `before`, the longest ended first; their executions are not its concern. Returns how many rows it
   * has deleted, at most `limit`: a large batch takes several calls, and is shown whole until the last one. 0: none is left.
   */
  deleteEndedBatches(p: { before: number; limit: number }): Promise<number>;
}

export interface BatchAdvance {
  batch: Batch;
  sealedRequest?: Buffer;
  next: BatchMember[];
  /** Executions of it that wait or run. */
  unfinished: { machineId: string; executionId: string }[];
  /** Whether a cancel was requested. */
  cancelled: boolean;
}
