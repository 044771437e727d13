/** Batches: one command on many machines. */
import type { BatchStatus } from '../../../core/decisions/batch.ts';
import type { Execution } from '../../../core/execution.ts';
import type { ExecutionStatus } from '../../../core/execution-status.ts';
import type { ActorRevoked, Idempotency, OnBehalf, Replay } from '../idempotency.ts';
import type { Page, PageRequest } from '../pages.ts';

export interface NewBatch {
  batchId: string;
  /** Without repeats. Executions are created in this order. */
  machineIds: readonly string[];
  /** The sealed command; erased when the batch has ended. */
  sealedRequest: Buffer;
  maxConcurrency: number;
  maxFailures?: number;
  /** API key id, or `admin`. */
  createdBy: string;
}

export interface Batch extends Pick<NewBatch, 'batchId' | 'maxConcurrency' | 'maxFailures' | 'createdBy'> {
  status: BatchStatus;
  /** The argv of its executions. Absent while there are none, and once they are deleted. */
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
  /** The Idempotency-Key of its execution. A replay of SPENT means that the execution must not be created any more. */
  idempotency: Idempotency;
}

export interface BatchStore {
  /** `machine_not_found`: names the machines that do not exist or are removed. */
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
  /** The executions in the order of the machines. Machines without an execution, or whose execution was deleted, are left out. */
  listBatchExecutions(p: { batchId: string } & PageRequest): Promise<Page<Execution>>;
  /**
   * Ends the creation of executions: spends the keys of members without an execution, and records executions that were created and not
   * recorded. The caller cancels the unfinished executions.
   */
  cancelBatch(
    p: { batchId: string; now: number } & OnBehalf,
  ): Promise<{ outcome: 'applied' | 'stale'; batch: Batch } | { outcome: 'not_found' } | Replay | ActorRevoked>;
  /** Running batches that no other living server continues. */
  listRunningBatches(): Promise<string[]>;
  /**
   * Counts the executions that have ended, ends the batch if all have, and returns the machines whose executions are created next. From
   * then on this server advances the batch. `among`: only these executions may have ended since the last call; absent: any may have.
   * Undefined if the batch does not exist, or another live server advances it.
   */
  advanceBatch(p: { batchId: string; among?: readonly string[]; now: number }): Promise<BatchAdvance | undefined>;
  /** Records the execution of a member; or `failed`: it could not be created. */
  setBatchMember(p: {
    batchId: string;
    position: number;
    result: { executionId: string } | { outcome: 'failed' };
  }): Promise<void>;
  /**
   * Deletes batches that ended before `before`, the longest ended first, without their executions. Returns the number of deleted rows, at
   * most `limit`: a large batch takes several calls, and stays complete for readers until the last one. 0: none is left.
   */
  deleteEndedBatches(p: { before: number; limit: number }): Promise<number>;
}

export interface BatchAdvance {
  batch: Pick<Batch, 'batchId' | 'status' | 'createdBy'>;
  sealedRequest?: Buffer;
  next: BatchMember[];
  /** Its executions that wait or run. Empty if the call was for some executions only. */
  unfinished: { machineId: string; executionId: string }[];
  /** Whether a cancel was requested. */
  cancelled: boolean;
}
