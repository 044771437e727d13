/** Converts between schedules, their runs and their rows, for any database: both select under these names. */
import type {
  ActorRevoked,
  DeletedSchedule,
  Replay,
  Schedule,
  ScheduleDefinition,
  ScheduleDeletion,
  ScheduleRun,
} from '../store.ts';
import { JSON_COLUMN } from './json-columns.ts';

export interface ScheduleRow {
  schedule: number;
  schedule_id: string;
  definition: string;
  sealed_request: Buffer;
  created_by: string;
  created_at: number;
  anchor_at: number;
  paused: string | null;
  next_at: number | null;
}

export interface RunRow {
  run: number;
  schedule_id: string;
  due_at: number;
  decided_at: number;
  outcome: string;
  reason: string | null;
  batch_id: string | null;
}

/** A schedule that is due, with the inputs of the decision about its tick. */
export type DueRow = ScheduleRow & { last_batch: string | null; queued: number };

export function toSchedule(row: ScheduleRow): Schedule {
  return {
    scheduleId: row.schedule_id,
    definition: JSON_COLUMN.schedule('definition', row.definition),
    sealedRequest: row.sealed_request,
    createdBy: row.created_by,
    createdAt: row.created_at,
    anchorAt: row.anchor_at,
    ...(row.paused === null ? {} : { paused: row.paused }),
    ...(row.next_at === null ? {} : { nextAt: row.next_at }),
  };
}

export function toDue(row: DueRow): { schedule: Schedule; dueAt: number; lastBatchId?: string; queued: boolean } {
  return {
    schedule: toSchedule(row),
    dueAt: row.next_at ?? 0,
    ...(row.last_batch === null ? {} : { lastBatchId: row.last_batch }),
    queued: row.queued === 1,
  };
}

export function toRun(row: RunRow): ScheduleRun {
  return {
    scheduleId: row.schedule_id,
    dueAt: row.due_at,
    decidedAt: row.decided_at,
    outcome: row.outcome as ScheduleRun['outcome'],
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.batch_id === null ? {} : { batchId: row.batch_id }),
  };
}

/** The text of the column `definition`. */
export function definitionText(definition: ScheduleDefinition): string {
  return JSON.stringify(definition);
}

/** Whether another key than `createdBy`, if it is given, has made the schedule. */
export function isOfAnother(row: Pick<ScheduleRow, 'created_by'>, createdBy: string | undefined): boolean {
  return createdBy !== undefined && row.created_by !== createdBy;
}

/** The text to which an Idempotency-Key is bound that has deleted a schedule: a repeated deletion returns it, although its row is gone. */
export function deletedText({ sealedRequest: _, ...deleted }: Schedule): string {
  return JSON.stringify(deleted satisfies DeletedSchedule);
}

/** Returns the outcome of a deletion that is refused or repeated. */
export function repeatedDeletion(refusal: Replay | ActorRevoked): ScheduleDeletion {
  if (refusal.outcome !== 'replayed') return refusal;
  // Earlier versions bound the key to the id alone.
  if (!refusal.resource.startsWith('{')) return { outcome: 'not_found' };
  const schedule = JSON_COLUMN.deletedSchedule('idempotency.resource', refusal.resource);
  return { outcome: 'replayed', resource: schedule.scheduleId, schedule };
}
