/** Schedules: one command on machines, again and again. */
import { queryOptions, skipToken } from '@tanstack/react-query';
import type { ScheduleRunWire } from '../../api/schedules/run.ts';
import type { CreateSchedule, ScheduleWire } from '../../api/schedules/schedule.ts';
import { Schedules } from '../../client/batches/schedules.ts';
import type { Batch } from './batches.ts';
import { transport } from './client.ts';
import { LIVE_MS } from './lists.ts';

const NEXT_RUNS = 5;

export type Schedule = ScheduleWire;
export type ScheduleRun = Omit<ScheduleRunWire, 'batch'> & { batch?: Batch };
export type Timing = Pick<CreateSchedule, 'cron' | 'every' | 'time_zone'>;

export const SCHEDULES = '/v1/schedules';

export function schedulePath(scheduleId: string): string {
  return `${SCHEDULES}/${encodeURIComponent(scheduleId)}`;
}

export function scheduleQuery(scheduleId: string) {
  return queryOptions({
    queryKey: ['schedule', scheduleId],
    queryFn: ({ signal }): Promise<Schedule> =>
      transport.json('GET', schedulePath(scheduleId), { query: { next_runs: NEXT_RUNS }, signal }),
    refetchInterval: LIVE_MS,
  });
}

/** When such a schedule would be due next. Nothing is kept. */
export function previewQuery(timing: Timing | undefined) {
  return queryOptions({
    queryKey: ['schedule-preview', timing],
    queryFn: timing === undefined ? skipToken : () => new Schedules(transport).preview(timing),
    retry: false,
  });
}

/** Such as "0 3 * * * (Europe/Berlin)", or "every 900 s". */
export function timingText({ cron, time_zone: zone = 'UTC', every_seconds: every = 0 }: Schedule): string {
  return cron === undefined ? `every ${everyText(every)}` : `${cron} (${zone})`;
}

function everyText(seconds: number): string {
  const [unit, name] = UNITS.find(([length]) => seconds % length === 0) ?? [1, 's'];
  return `${seconds / unit} ${name}`;
}

/** Longest first. */
const UNITS = [
  [604_800, 'weeks'],
  [86_400, 'days'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const;
