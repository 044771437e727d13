/** A batch: one command on many machines, a number of them at once, until it has failed on too many. */

export const BATCH_STATUSES = ['running', 'succeeded', 'failed', 'cancelled'] as const;
export type BatchStatus = (typeof BATCH_STATUSES)[number];

/** Number of machines of a batch in each state. */
export interface BatchProgress {
  /** Without an execution so far. */
  pending: number;
  /** With an execution that waits or runs. */
  unfinished: number;
  succeeded: number;
  /** Ended without success, or not created; without those that the batch itself cancelled. */
  failed: number;
}

export interface BatchLimits {
  maxConcurrency: number;
  /** More failures than this end the batch. Absent: no number does. */
  maxFailures?: number;
  /** A cancel was requested. */
  cancelled: boolean;
}

export interface BatchStep {
  /** Number of executions that may be made now. */
  start: number;
  /** No further executions are made. */
  cancelRest: boolean;
  /** Present once it is over. */
  end?: Exclude<BatchStatus, 'running'>;
}

/** The resource of the Idempotency-Key of an execution that must not be made any more. */
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
