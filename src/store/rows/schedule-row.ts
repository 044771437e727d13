/** Converts between schedules, their runs and their rows, for any database: both select under these names. */
import type { Schedule, ScheduleDefinition, ScheduleRun } from '../store.ts';
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
