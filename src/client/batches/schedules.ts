/** Schedules: commands that run on machines repeatedly. */
import type { ScheduleRunWire } from '../../api/schedules/run.ts';
import type { CreateSchedule, ScheduleWire, UpdateSchedule } from '../../api/schedules/schedule.ts';
import { List, type PageOptions } from '../http/pages.ts';
import type { RequestOptions, Transport } from '../http/transport.ts';
import { SCHEDULE, SCHEDULE_PREVIEW, SCHEDULE_RUN } from '../http/shapes.ts';

/** `/v1/schedules`. */
export class Schedules {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates a schedule: a command that runs at the times of `cron` or `every`, on the machines that the selector names or matches then. */
  create(body: CreateSchedule, { signal }: RequestOptions = {}): Promise<ScheduleWire> {
    return this.#transport.json('POST', '/v1/schedules', SCHEDULE, { body, signal });
  }

  /** Returns the next times of a schedule without creating it. */
  async preview(
    body: Pick<CreateSchedule, 'cron' | 'every' | 'time_zone'>,
    { signal }: RequestOptions = {},
  ): Promise<string[]> {
    const answer = await this.#transport.json('POST', '/v1/schedules/preview', SCHEDULE_PREVIEW, { body, signal });
    return answer.next_runs;
  }

  /** Lists schedules, newest first. */
  list(options: PageOptions = {}): List<ScheduleWire> {
    return new List(this.#transport, { path: '/v1/schedules', item: SCHEDULE, options });
  }

  /** Returns the schedule. `nextRuns`: number of next times to include, in `next_runs`. */
  get(scheduleId: string, { nextRuns, signal }: RequestOptions & { nextRuns?: number } = {}): Promise<ScheduleWire> {
    return this.#transport.json('GET', schedulePath(scheduleId), SCHEDULE, { query: { next_runs: nextRuns }, signal });
  }

  /** Changes the fields in `body`. With `command` all fields of the command are replaced. */
  update(scheduleId: string, body: UpdateSchedule, { signal }: RequestOptions = {}): Promise<ScheduleWire> {
    return this.#transport.json('PATCH', schedulePath(scheduleId), SCHEDULE, { body, signal });
  }

  /** Skips all ticks until the schedule is resumed. */
  pause(scheduleId: string, options: RequestOptions = {}): Promise<ScheduleWire> {
    return this.update(scheduleId, { paused: true }, options);
  }

  /** Resumes the schedule with the next tick from now. */
  resume(scheduleId: string, options: RequestOptions = {}): Promise<ScheduleWire> {
    return this.update(scheduleId, { paused: false }, options);
  }

  /** Deletes the schedule and its history. Batches that it has started continue. */
  remove(scheduleId: string, { signal }: RequestOptions = {}): Promise<ScheduleWire> {
    return this.#transport.json('DELETE', schedulePath(scheduleId), SCHEDULE, { signal });
  }

  /** Lists the outcomes of its ticks, newest first. */
  runs(scheduleId: string, options: PageOptions = {}): List<ScheduleRunWire> {
    return new List(this.#transport, { path: `${schedulePath(scheduleId)}/runs`, item: SCHEDULE_RUN, options });
  }
}

function schedulePath(scheduleId: string): string {
  return `/v1/schedules/${encodeURIComponent(scheduleId)}`;
}
