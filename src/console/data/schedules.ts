/** Schedules: commands that run on machines repeatedly. */
import { queryOptions, skipToken } from '@tanstack/react-query';
import type { ScheduleRunWire } from '../../api/schedules/run.ts';
import type { CreateSchedule, ScheduleWire } from '../../api/schedules/schedule.ts';
import { Schedules } from '../../client/batches/schedules.ts';
import type { Batch } from './batches.ts';
import { transport } from './client.ts';
import { LIVE_MS } from './lists.ts';
import { SCHEDULE } from '../../client/http/shapes.ts';

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
      transport.json('GET', schedulePath(scheduleId), SCHEDULE, { query: { next_runs: NEXT_RUNS }, signal }),
    refetchInterval: LIVE_MS,
  });
}

/** The next runs of a schedule that is not created yet. */
export function previewQuery(timing: Timing | undefined) {
  return queryOptions({
    queryKey: ['schedule-preview', timing],
    queryFn: timing === undefined ? skipToken : () => new Schedules(transport).preview(timing),
    retry: false,
  });
}
