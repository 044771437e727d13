/** A batch: one command on many machines, so many at once, until it has failed on too many. */

export const BATCH_STATUSES = ['running', 'succeeded', 'failed', 'cancelled'] as const;
export type BatchStatus = (typeof BATCH_STATUSES)[number];

/** Where the machines of a batch are. */
export interface BatchProgress {
  /** Has no execution yet. */
  pending: number;
  /** Its execution waits or runs. */
  unfinished: number;
  succeeded: number;
  /** Ended otherwise, or could not be made; those that the batch itself cancelled left out. */
  failed: number;
}

export interface BatchLimits {
  maxConcurrency: number;
  /** More failures than this end the batch; absent: none do. */
  maxFailures?: number;
  /** Somebody asked for its end. */
  cancelled: boolean;
}

export interface BatchStep {
  /** How many more executions may be made now. */
  start: number;
  /** The rest is not made any more. */
  cancelRest: boolean;
  /** Present once it is over. */
  end?: Exclude<BatchStatus, 'running'>;
}

/** What the Idempotency-Key of an execution that is not to be made any more stands for. */
export const SPENT = '';

/** Decides what a batch does next; pure and total. */
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
