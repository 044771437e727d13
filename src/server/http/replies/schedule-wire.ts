/** Converts schedules and their runs to the API's form. */
import type { ScheduleRunWire } from '../../../api/schedules/run.ts';
import type { ScheduleWire } from '../../../api/schedules/schedule.ts';
import type { Batch, DeletedSchedule, ScheduleDefinition, ScheduleRun } from '../../../store/store.ts';
import { batchWire } from './batch-wire.ts';
import { time } from './wire.ts';

export function scheduleWire({ scheduleId, definition, paused, createdAt, nextAt }: DeletedSchedule): ScheduleWire {
  const { name, overlap, catchUp, maxConcurrency, maxFailures, shown } = definition;
  const { command, envKeys, cwd, user, timeoutMs } = shown;
  return {
    schedule_id: scheduleId,
    ...(name === undefined ? {} : { name }),
    ...timingWire(definition),
    selector: selectorWire(definition),
    overlap,
    catch_up: catchUp,
    max_concurrency: maxConcurrency,
    ...(maxFailures === undefined ? {} : { max_failures: maxFailures }),
    command: [...command],
    ...(envKeys.length === 0 ? {} : { env_keys: [...envKeys] }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    ...(timeoutMs === undefined ? {} : { timeout_ms: timeoutMs }),
    paused: paused !== undefined,
    ...(paused === undefined ? {} : { paused_reason: paused }),
    created_at: time(createdAt),
    ...(nextAt === undefined ? {} : { next_run_at: time(nextAt) }),
  };
}

/** Converts a run. `batch`: the batch that it started, as long as the batch is kept. */
export function scheduleRunWire(run: ScheduleRun, batch: Batch | undefined): ScheduleRunWire {
  const { dueAt, decidedAt, outcome, reason } = run;
  return {
    due_at: time(dueAt),
    decided_at: time(decidedAt),
    outcome,
    ...(reason === undefined ? {} : { reason }),
    ...(batch === undefined ? {} : { batch: batchWire(batch) }),
  };
}

function timingWire({ timing }: ScheduleDefinition): Pick<ScheduleWire, 'cron' | 'time_zone' | 'every_seconds'> {
  if ('everyMs' in timing) return { every_seconds: timing.everyMs / 1000 };
  return { cron: timing.cron, time_zone: timing.timeZone };
}

function selectorWire({ selector }: ScheduleDefinition): ScheduleWire['selector'] {
  return 'labels' in selector ? { labels: { ...selector.labels } } : { machine_ids: [...selector.machineIds] };
}
