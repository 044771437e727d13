/** Schedules: commands that run on machines repeatedly. */
import type { ScheduleRunWire } from '../../api/schedules/run.ts';
import type { CreateSchedule, ScheduleWire, UpdateSchedule } from '../../api/schedules/schedule.ts';
import { List, type PageOptions } from '../http/pages.ts';
import type { Transport } from '../http/transport.ts';
import { SCHEDULE, SCHEDULE_PREVIEW, SCHEDULE_RUN } from '../http/shapes.ts';

/** `/v1/schedules`. */
export class Schedules {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates a schedule: a command that runs at the times of `cron` or `every`, on the machines that the selector names or matches then. */
  create(body: CreateSchedule): Promise<ScheduleWire> {
    return this.#transport.json('POST', '/v1/schedules', SCHEDULE, { body });
  }

  /** Returns the next times of a schedule without creating it. */
  async preview(body: Pick<CreateSchedule, 'cron' | 'every' | 'time_zone'>): Promise<string[]> {
    const answer = await this.#transport.json('POST', '/v1/schedules/preview', SCHEDULE_PREVIEW, { body });
    return answer.next_runs;
  }

  /** Lists schedules, newest first. */
  list(options: PageOptions = {}): List<ScheduleWire> {
    return new List(this.#transport, { path: '/v1/schedules', item: SCHEDULE, options });
  }

  /** Returns the schedule. `nextRuns`: number of next times to include, in `next_runs`. */
  get(scheduleId: string, { nextRuns }: { nextRuns?: number } = {}): Promise<ScheduleWire> {
    return this.#transport.json('GET', schedulePath(scheduleId), SCHEDULE, { query: { next_runs: nextRuns } });
  }

  /** Changes the fields in `body`. With `command` all fields of the command are replaced. */
  update(scheduleId: string, body: UpdateSchedule): Promise<ScheduleWire> {
    return this.#transport.json('PATCH', schedulePath(scheduleId), SCHEDULE, { body });
  }

  /** Skips all ticks until the schedule is resumed. */
  pause(scheduleId: string): Promise<ScheduleWire> {
    return this.update(scheduleId, { paused: true });
  }

  /** Resumes the schedule with the next tick from now. */
  resume(scheduleId: string): Promise<ScheduleWire> {
    return this.update(scheduleId, { paused: false });
  }

  /** Deletes the schedule and its history. Batches that it has started continue. */
  remove(scheduleId: string): Promise<ScheduleWire> {
    return this.#transport.json('DELETE', schedulePath(scheduleId), SCHEDULE);
  }

  /** Lists the outcomes of its ticks, newest first. */
  runs(scheduleId: string, options: PageOptions = {}): List<ScheduleRunWire> {
    return new List(this.#transport, { path: `${schedulePath(scheduleId)}/runs`, item: SCHEDULE_RUN, options });
  }
}

function schedulePath(scheduleId: string): string {
  return `/v1/schedules/${encodeURIComponent(scheduleId)}`;
}
