/** Converts between batches and their rows, for any database. */
import type { BatchLimits, BatchProgress, BatchStatus } from '../../core/decisions/batch.ts';
import type { ExecutionStatus } from '../../core/execution-status.ts';
import type { Batch, BatchMember } from '../roles/batches/batches.ts';
import { JSON_COLUMN } from './json-columns.ts';

export interface BatchRow {
  id: number;
  public_id: string;
  status: string;
  cancelled: number;
  sealed_request: Buffer | null;
  max_concurrency: number;
  max_failures: number | null;
  created_by: string;
  /** JSON, of its first execution. */
  command: string | null;
  created_at: number;
  completed_at: number | null;
  /** JSON: `counts` of a batch that has ended, so that a list need not count its machines. NULL: they are counted. */
  counts: string | null;
}

/** Number of machines of a batch in each state. */
export interface BatchCountRow {
  status: ExecutionStatus | 'pending';
  count: number;
}

/** Returns the batch of a row. `counted`: the counts of its machines, unless the row has them. */
export function toBatch(row: BatchRow, counted: readonly BatchCountRow[]): Batch {
  return {
    batchId: row.public_id,
    status: row.status as BatchStatus,
    ...(row.command === null ? {} : { command: JSON_COLUMN.strings('command', row.command) }),
    counts: row.counts === null ? byStatus(counted) : JSON_COLUMN.counts('counts', row.counts),
    maxConcurrency: row.max_concurrency,
    ...(row.max_failures === null ? {} : { maxFailures: row.max_failures }),
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...(row.completed_at === null ? {} : { completedAt: row.completed_at }),
  };
}

/** Returns the column `counts` of a batch that has ended. */
export function countsText(counted: readonly BatchCountRow[]): string {
  return JSON.stringify(byStatus(counted));
}

function byStatus(counted: readonly BatchCountRow[]): Batch['counts'] {
  return Object.fromEntries(counted.map(({ status, count }) => [status, count]));
}

/** The inputs of the decision on the next step of a batch. */
export function progressOf(
  row: BatchRow,
  counts: readonly BatchCountRow[],
  unfinished: number,
): [BatchProgress, BatchLimits] {
  const { pending = 0, succeeded = 0, failed = 0, expired = 0, cancelled: ended = 0 } = toBatch(row, counts).counts;
  const limits = { maxConcurrency: row.max_concurrency, cancelled: row.cancelled === 1 };
  return [
    { pending, unfinished, succeeded, failed: failed + expired + ended },
    row.max_failures === null ? limits : { ...limits, maxFailures: row.max_failures },
  ];
}

/** Time for which the key of an execution is kept, ms. */
export const MEMBER_KEY_MS = 30 * 86_400_000;
const MEMBER_DIGEST = Buffer.from('batch');

/** Returns the Idempotency-Key for the execution of a machine, `position` counted from 0: it is created once, whichever server creates it. */
export function memberKey(batchId: string, position: number): { apiKeyId: string; key: string; digest: Buffer } {
  return { apiKeyId: `batch:${batchId}`, key: String(position), digest: MEMBER_DIGEST };
}

/** Returns a machine of a batch that gets its execution next. */
export function toMember(batchId: string, row: { position: number; machineId: string }, now: number): BatchMember {
  return { ...row, idempotency: { ...memberKey(batchId, row.position), expiresAt: now + MEMBER_KEY_MS } };
}
