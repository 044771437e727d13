/** Batches: one command on many machines, on a limited number at a time, ended early after too many failures. */

export const BATCH_STATUSES = ['running', 'succeeded', 'failed', 'cancelled'] as const;
export type BatchStatus = (typeof BATCH_STATUSES)[number];

/** Number of machines of a batch in each state. */
export interface BatchProgress {
  /** Machines without an execution so far. */
  pending: number;
  /** Machines with an execution that waits or runs. */
  unfinished: number;
  succeeded: number;
  /** Executions that ended without success or could not be created, except those that the batch cancelled. */
  failed: number;
}

export interface BatchLimits {
  maxConcurrency: number;
  /** More failures than this end the batch. Absent: no number of failures ends it. */
  maxFailures?: number;
  /** Whether a cancel was requested. */
  cancelled: boolean;
}

export interface BatchStep {
  /** Number of executions that may be created now. */
  start: number;
  /** Whether no further executions are created. */
  cancelRest: boolean;
  /** Present once the batch has ended. */
  end?: Exclude<BatchStatus, 'running'>;
}

/** The resource of the Idempotency-Key of an execution that must not be created any more. */
export const SPENT = '';

/** Decides the next step of a batch. Pure and total. */
export function nextBatchStep(progress: BatchProgress, limits: BatchLimits): BatchStep {
  const { pending, unfinished, failed } = progress;
  const overBudget = limits.maxFailures !== undefined && failed > limits.maxFailures;
  const cancelRest = limits.cancelled || overBudget;
  const left = cancelRest ? 0 : pending;
  const start = Math.max(0, Math.min(left, limits.maxConcurrency - unfinished));
  if (left + unfinished > 0) return { start, cancelRest };
  if (limits.cancelled) return { start: 0, cancelRest, end: 'cancelled' };
  return { start: 0, cancelRest, end: failed > 0 ? 'failed' : 'succeeded' };
}
