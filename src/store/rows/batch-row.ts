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
  /** JSON: `counts` of a batch that has ended. NULL: they follow from `tally`. */
  counts: string | null;
  /** JSON: a Tally. NULL if `counts` is not. */
  tally: string | null;
  /** JSON: its unfinished executions by status. NULL if there is none, or if nobody asked. */
  unfinished: string | null;
}

/** The state of a machine of a batch. `unfinished`: its execution waits or runs. */
type MemberState = 'pending' | 'unfinished' | ExecutionStatus;
/** SQL: the state of a row of `batch_members`. */
export const MEMBER_STATE = "coalesce(outcome, CASE WHEN execution_id IS NULL THEN 'pending' ELSE 'unfinished' END)";
/** SQL conditions on a row of `batch_members`, as in its indexes. */
export const IS_PENDING = 'outcome IS NULL AND execution_id IS NULL';
export const IS_UNFINISHED = 'outcome IS NULL AND execution_id IS NOT NULL';

/** Number of machines of a batch in each state. It is kept with the batch, so that a step does not read machines that have not changed. */
export type Tally = Partial<Record<MemberState, number>>;

/** Returns the tally of a running batch. */
export function tallyOf(text: string | null): Tally {
  return text === null ? {} : JSON_COLUMN.counts('tally', text);
}

/** Returns the tally after machines have changed from the state `from` to each of `to`. */
export function moveMembers(tally: Tally, from: MemberState, to: readonly MemberState[]): Tally {
  const moved = { ...tally, [from]: (tally[from] ?? 0) - to.length };
  for (const state of to) moved[state] = (moved[state] ?? 0) + 1;
  return moved;
}

/** Returns the text of the column `tally`. NULL for one that an older server has made wrong: the machines are counted again. */
export function tallyText(tally: Tally): string | null {
  return Object.values(tally).some((count) => count < 0) ? null : countsText(tally);
}

/** Returns the text of the column `counts`. */
export function countsText(counts: Tally): string {
  return JSON.stringify(withoutZeros(counts));
}

/** The states are in the order of the alphabet, whichever was counted first. */
function withoutZeros<Counts extends Tally>(counts: Counts): Counts {
  const some = Object.entries(counts).filter(([, count]) => count !== 0);
  return Object.fromEntries(some.toSorted(([a], [b]) => (a < b ? -1 : 1))) as Counts;
}

/** Returns the counts of a running batch: its tally, with its unfinished executions by their status. */
function countsOf({ tally, unfinished }: BatchRow): Batch['counts'] {
  const { unfinished: _, ...counts } = tallyOf(tally);
  const statuses = unfinished === null ? {} : JSON_COLUMN.counts('unfinished', unfinished);
  for (const [status, count] of Object.entries(statuses) as [ExecutionStatus, number][]) {
    counts[status] = (counts[status] ?? 0) + count;
  }
  return withoutZeros(counts);
}

/** Returns the batch of a row. */
export function toBatch(row: BatchRow): Batch {
  return {
    batchId: row.public_id,
    status: row.status as BatchStatus,
    ...(row.command === null ? {} : { command: JSON_COLUMN.strings('command', row.command) }),
    counts: row.counts === null ? countsOf(row) : JSON_COLUMN.counts('counts', row.counts),
    maxConcurrency: row.max_concurrency,
    ...(row.max_failures === null ? {} : { maxFailures: row.max_failures }),
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...(row.completed_at === null ? {} : { completedAt: row.completed_at }),
  };
}

/** The inputs of the decision on the next step of a batch. */
export function progressOf(row: BatchRow, tally: Tally): [BatchProgress, BatchLimits] {
  const { pending = 0, unfinished = 0, succeeded = 0, failed = 0, expired = 0, cancelled: ended = 0 } = tally;
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
