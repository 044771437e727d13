/** Schedules, and the outcome of each of their ticks. */
import type { Overlap, RunOutcome, Timing } from '../../../core/schedule.ts';
import type { ActorRevoked, OnBehalf, Replay } from '../idempotency.ts';
import type { Page, PageRequest } from '../pages.ts';

/** The settings of a schedule, without the secrets of its command. */
export interface ScheduleDefinition {
  name?: string;
  timing: Timing;
  selector: { labels: Readonly<Record<string, string>> } | { machineIds: readonly string[] };
  overlap: Overlap;
  catchUp: boolean;
  maxConcurrency: number;
  maxFailures?: number;
  /** The parts of the sealed command that clients may read. */
  shown: {
    command: readonly string[];
    envKeys: readonly string[];
    cwd?: string;
    user?: string;
    timeoutMs?: number;
  };
}

export interface NewSchedule {
  scheduleId: string;
  definition: ScheduleDefinition;
  /** The command, sealed. */
  sealedRequest: Buffer;
  /** API key id, or `admin`. */
  createdBy: string;
  /** Ticks of an interval are counted from here. */
  anchorAt: number;
  /** The reason why it is paused. Absent: it is not paused. */
  paused?: string;
  /** The time of the next tick. Absent if there is none, or if it is paused. */
  nextAt?: number;
}

export interface Schedule extends NewSchedule {
  createdAt: number;
}

export type DeletedSchedule = Omit<Schedule, 'sealedRequest'>;

/** The outcome of a deletion. A repeated one returns the schedule as it was deleted. */
export type ScheduleDeletion =
  | { outcome: 'applied'; schedule: DeletedSchedule }
  | { outcome: 'not_found' }
  | { outcome: 'replayed'; resource: string; schedule: DeletedSchedule }
  | Exclude<Replay, { outcome: 'replayed' }>
  | ActorRevoked;

export type ScheduleChange = Pick<NewSchedule, 'definition' | 'sealedRequest' | 'anchorAt' | 'paused' | 'nextAt'>;

/** The outcome of a tick. There is one for each tick. */
export interface ScheduleRun {
  scheduleId: string;
  dueAt: number;
  decidedAt: number;
  outcome: RunOutcome;
  reason?: string;
  batchId?: string;
}

/** A schedule that is due, with the facts that decide about its tick. */
export interface DueSchedule {
  schedule: Schedule;
  dueAt: number;
  /** The batch that it started last. */
  lastBatchId?: string;
  /** Whether a tick of it waits. */
  queued: boolean;
}

export interface ScheduleStore {
  createSchedule(
    p: { schedule: NewSchedule; now: number } & OnBehalf,
  ): Promise<{ outcome: 'created'; schedule: Schedule } | Replay | ActorRevoked>;
  getSchedule(p: { scheduleId: string }): Promise<Schedule | undefined>;
  /** Newest first; with `createdBy` those of this key. */
  listSchedules(p: { createdBy?: string } & PageRequest): Promise<Page<Schedule>>;
  /** Replaces the definition, the request, the anchor and the pause of a schedule by those of `change`. */
  updateSchedule(
    p: { scheduleId: string; change: ScheduleChange; now: number } & OnBehalf,
  ): Promise<{ outcome: 'applied'; schedule: Schedule } | { outcome: 'not_found' } | Replay | ActorRevoked>;
  /** Deletes it with its runs. Batches that they started continue. `createdBy`: only if this key has made it. */
  deleteSchedule(p: { scheduleId: string; createdBy?: string; now: number } & OnBehalf): Promise<ScheduleDeletion>;

  /** The due schedules, longest due first: by the clock of the database if it has several servers, otherwise by `now`. */
  listDueSchedules(p: { now: number; limit: number }): Promise<{ now: number; items: DueSchedule[] }>;
  /** Time at which the next schedule is due. */
  nextScheduleAt(): Promise<number | undefined>;
  /**
   * Records the outcome of a tick and the time of the next one, and deletes all runs but the newest `keep`. `stale`: the tick was recorded
   * already, or the schedule has changed.
   */
  beginRun(p: { run: ScheduleRun; nextAt?: number; keep: number }): Promise<'begun' | 'stale'>;
  /** Writes the outcome of a run that is starting or queued. `stale`: it has an outcome already. */
  decideRun(p: {
    run: Pick<ScheduleRun, 'scheduleId' | 'dueAt' | 'outcome' | 'reason' | 'batchId'>;
    now: number;
  }): Promise<'decided' | 'stale'>;
  /** Newest first. */
  listRuns(p: { scheduleId: string } & PageRequest): Promise<Page<ScheduleRun>>;
  /** Changes the time of the next tick, unless the schedule has changed. */
  moveNextTick(p: { scheduleId: string; from: number; to: number }): Promise<void>;
  /** Runs that are starting, or queued; oldest first. */
  listOpenRuns(p: PageRequest): Promise<Page<ScheduleRun>>;
  /** The batch that it started last. */
  lastBatchOf(p: { scheduleId: string }): Promise<string | undefined>;
}
