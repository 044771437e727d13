/** Schedules: what is run again and again, and what became of each tick. */
import type { Overlap, RunOutcome, Timing } from '../../../core/schedule.ts';
import type { ActorRevoked, OnBehalf, Replay } from '../idempotency.ts';
import type { Page, PageRequest } from '../pages.ts';

/** What a schedule is, without the secrets of its command. */
export interface ScheduleDefinition {
  name?: string;
  timing: Timing;
  selector: { labels: Readonly<Record<string, string>> } | { machineIds: readonly string[] };
  overlap: Overlap;
  catchUp: boolean;
  maxConcurrency: number;
  maxFailures?: number;
  /** What is shown of the sealed command. */
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
  /** What is to be run, sealed. */
  sealedRequest: Buffer;
  /** API key id, or `admin`. */
  createdBy: string;
  /** Ticks of an interval are counted from here. */
  anchorAt: number;
  /** Why it is not due. */
  paused?: string;
  /** When it is due next; absent: never, or it is paused. */
  nextAt?: number;
}

export interface Schedule extends NewSchedule {
  createdAt: number;
}

export type ScheduleChange = Pick<NewSchedule, 'definition' | 'sealedRequest' | 'anchorAt' | 'paused' | 'nextAt'>;

/** What became of a tick; one a tick. */
export interface ScheduleRun {
  scheduleId: string;
  dueAt: number;
  decidedAt: number;
  outcome: RunOutcome;
  reason?: string;
  batchId?: string;
}

/** What the decision about a tick rests on. */
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
  /** Puts all of `change` in the place of what is there. */
  updateSchedule(
    p: { scheduleId: string; change: ScheduleChange; now: number } & OnBehalf,
  ): Promise<{ outcome: 'applied'; schedule: Schedule } | { outcome: 'not_found' } | Replay | ActorRevoked>;
  /** With all of its runs; what they started runs on. */
  deleteSchedule(
    p: { scheduleId: string; now: number } & OnBehalf,
  ): Promise<{ outcome: 'applied'; schedule: Schedule } | { outcome: 'not_found' } | Replay | ActorRevoked>;

  /** Those that are due, longest due first, by the clock of the database if it has several servers, and else by `now`. */
  listDueSchedules(p: { now: number; limit: number }): Promise<{ now: number; items: DueSchedule[] }>;
  /** When the next one is due. */
  nextScheduleAt(): Promise<number | undefined>;
  /**
   * Takes a tick: writes what becomes of it, and when the next one is. `stale`: it is taken, or the schedule has changed. Of the runs
   * the newest `keep` stay.
   */
  beginRun(p: { run: ScheduleRun; nextAt?: number; keep: number }): Promise<'begun' | 'stale'>;
  /** Writes what became of a run that was starting, or queued; `stale`: it is not any more. */
  settleRun(p: {
    run: Pick<ScheduleRun, 'scheduleId' | 'dueAt' | 'outcome' | 'reason' | 'batchId'>;
    now: number;
  }): Promise<'settled' | 'stale'>;
  /** Newest first. */
  listRuns(p: { scheduleId: string } & PageRequest): Promise<Page<ScheduleRun>>;
  /** Runs that are starting, or queued; oldest first. */
  listOpenRuns(p: { limit: number }): Promise<ScheduleRun[]>;
  /** The batch that it started last. */
  lastBatchOf(p: { scheduleId: string }): Promise<string | undefined>;
}
