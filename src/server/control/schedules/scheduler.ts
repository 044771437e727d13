/**
 * Runs schedules: takes each tick that is due, and creates a batch for it. The store decides which tick is due and which server takes it,
 * so that several servers share the work, and a restarted server continues where the last one stopped.
 */
import type { Logger } from 'pino';
import { decideTick } from '../../../core/schedule.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { DueSchedule, Schedule, ScheduleRun, ScheduleStore } from '../../../store/store.ts';
import type { RunStarter } from './run-starter.ts';
import { nextTick } from './ticks.ts';

/** Longest time between two looks, ms: another server may have created a schedule. */
const POLL_MS = 10_000;
/** Time between two looks while a run waits for the previous one, ms. */
const OPEN_POLL_MS = 1000;
/** A run that stays `starting` for this long was abandoned by its server, ms. */
const ABANDONED_AFTER_MS = 5000;
const MAX_ROWS = 100;
/** Outcomes that are kept for each schedule. */
const KEPT_RUNS = 1000;

export interface SchedulerDeps {
  store: ScheduleStore;
  starter: RunStarter;
  log: Pick<Logger, 'warn'>;
  /** ms since the epoch. */
  now: () => number;
}

export class Scheduler {
  readonly #deps: SchedulerDeps;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  get store(): ScheduleStore {
    return this.#deps.store;
  }

  /** Starts a look now: when the server starts, when a schedule is new or changed, and at the next tick. */
  wake(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    if (this.#looking !== undefined) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#looking = this.look().then((delayMs) => {
      this.#looking = undefined;
      if (this.#again) this.wake();
      else if (!this.#stopped) this.#timer = setTimeout(() => this.wake(), delayMs).unref();
    });
  }

  /** Takes no more ticks. Settles when no look is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** Takes the ticks that are due. Settles with the time until the next look, in ms. */
  async look(): Promise<number> {
    const { store, log } = this.#deps;
    try {
      const open = await this.#goOn();
      const { now, items } = await store.listDueSchedules({ now: this.#deps.now(), limit: MAX_ROWS });
      for (const due of items) {
        if (this.#stopped) return POLL_MS;
        await this.#take(due, now);
      }
      const next = await store.nextScheduleAt();
      const untilNext = next === undefined ? POLL_MS : Math.max(1, next - now);
      return Math.min(untilNext, open || items.length > 0 ? OPEN_POLL_MS : POLL_MS);
    } catch (cause) {
      log.warn({ err: cause }, 'reading the schedules failed; trying again');
      return OPEN_POLL_MS;
    }
  }

  /** Starts queued runs whose previous run has ended, and runs that another server abandoned. Returns whether any run was open. */
  async #goOn(): Promise<boolean> {
    const { store, starter, now } = this.#deps;
    const open = await store.listOpenRuns({ limit: MAX_ROWS });
    for (const run of open) {
      if (this.#stopped) break;
      const schedule = await store.getSchedule({ scheduleId: run.scheduleId });
      if (schedule === undefined) continue;
      if (run.outcome === 'queued' && schedule.paused !== undefined) await this.#skip(run, 'paused');
      else if (await this.#mayStart(run, now())) await starter.start(schedule, run.dueAt);
    }
    return open.length > 0;
  }

  async #mayStart({ scheduleId, outcome, decidedAt }: ScheduleRun, now: number): Promise<boolean> {
    if (outcome === 'starting') return now - decidedAt > ABANDONED_AFTER_MS;
    const lastBatchId = await this.#deps.store.lastBatchOf({ scheduleId });
    return !(await this.#deps.starter.isRunning(lastBatchId));
  }

  async #take({ schedule, dueAt, lastBatchId, queued }: DueSchedule, now: number): Promise<void> {
    const { store, starter, log } = this.#deps;
    const { scheduleId, definition, anchorAt: anchor } = schedule;
    const { timing, overlap, catchUp } = definition;
    const busy = await starter.isRunning(lastBatchId);
    const { outcome, cancelEarlier } = decideTick({ overlap, catchUp, lateMs: now - dueAt, busy, queued });
    const nextAt = nextTick(timing, { anchor, after: Math.max(now, dueAt) });
    const begun = await store.beginRun({
      run: { scheduleId, dueAt, decidedAt: now, outcome, ...reasonOf(outcome) },
      ...(nextAt === undefined ? {} : { nextAt }),
      keep: KEPT_RUNS,
    });
    if (begun === 'stale') return;
    if (cancelEarlier) await starter.cancel(lastBatchId);
    if (outcome === 'missed')
      log.warn(
        { [LOG_KEY.scheduleId]: scheduleId },
        'a run of a schedule was missed: no server was running when it was due',
      );
    if (outcome === 'starting') await starter.start(schedule, dueAt);
  }

  async #skip({ scheduleId, dueAt }: ScheduleRun, reason: string): Promise<void> {
    const run = { scheduleId, dueAt, outcome: 'skipped', reason } as const;
    await this.#deps.store.decideRun({ run, now: this.#deps.now() });
  }
}

function reasonOf(outcome: ScheduleRun['outcome']): { reason?: string } {
  return outcome === 'skipped' ? { reason: 'overlap' } : {};
}

/** The next tick of a schedule after `now`. A schedule that is `paused` has none. */
export function dueFrom(
  { timing }: Pick<Schedule['definition'], 'timing'>,
  p: { anchor: number; now: number; paused: string | undefined },
): Pick<Schedule, 'anchorAt' | 'nextAt' | 'paused'> {
  const { anchor, now: after, paused } = p;
  if (paused !== undefined) return { anchorAt: anchor, paused };
  const nextAt = nextTick(timing, { anchor, after });
  return { anchorAt: anchor, ...(nextAt === undefined ? {} : { nextAt }) };
}
