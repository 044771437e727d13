/**
 * Runs schedules: handles each due tick, and creates a batch for it. The store decides which tick is due and which server handles it, so that
 * several servers share the work, and a restarted server continues it.
 */
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { decideTick } from '../../../core/schedule.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import {
  type DueSchedule,
  type Page,
  type PageRequest,
  type Schedule,
  type ScheduleRun,
  type ScheduleStore,
  StoreUnavailableError,
} from '../../../store/store.ts';
import type { RunStarter } from './run-starter.ts';
import { nextTick } from './ticks.ts';

/** Maximum interval between polls of the schedules, ms: another server may have created one. */
const POLL_MS = 10_000;
/** Interval between polls while a run waits for the previous one, ms. */
const OPEN_POLL_MS = 1000;
/** Time after which a run in `starting` counts as abandoned by its server, ms. */
const ABANDONED_AFTER_MS = 5000;
const MAX_ROWS = 100;
/** Number of schedules whose ticks are handled at a time: their writes share commits, so that many ticks of one second start soon. */
const AT_A_TIME = 16;
/** Number of runs that are kept for each schedule. */
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
  /** The time of the last poll. */
  #polledAt: number | undefined;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  get store(): ScheduleStore {
    return this.#deps.store;
  }

  /** Polls now: at the start of the server, after a schedule was created or changed, and at the next tick. */
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

  /** Stops handling ticks. Settles when no poll is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** Handles the due ticks. Settles with the time until the next poll, in ms. */
  async look(): Promise<number> {
    const { store, log } = this.#deps;
    try {
      const open = await this.#goOn();
      const { now, items } = await store.listDueSchedules({ now: this.#deps.now(), limit: MAX_ROWS });
      if (now < (this.#polledAt ?? Number.POSITIVE_INFINITY)) await this.#moveTicksBack(now);
      this.#polledAt = now;
      if ((await this.#takeAll(items, now)) === 'failed') return OPEN_POLL_MS;
      const next = await store.nextScheduleAt();
      const untilNext = next === undefined ? POLL_MS : Math.max(1, next - now);
      return Math.min(untilNext, open || items.length > 0 ? OPEN_POLL_MS : POLL_MS);
    } catch (cause) {
      log.warn({ err: cause }, 'reading the schedules failed; trying again');
      return OPEN_POLL_MS;
    }
  }

  async #takeAll(items: readonly DueSchedule[], now: number): Promise<'done' | 'failed'> {
    const limit = pLimit(AT_A_TIME);
    const taken = items.map((due) => limit(() => this.#try(due.schedule.scheduleId, () => this.#take(due, now))));
    // None may be under way when this settles.
    await Promise.allSettled(taken);
    return (await Promise.all(taken)).includes('failed') ? 'failed' : 'done';
  }

  /** Does something for one schedule. A fault of it must not stop the others. Rejects only if the store is unavailable. */
  async #try(scheduleId: string, work: () => Promise<void>): Promise<'done' | 'failed'> {
    if (this.#stopped) return 'done';
    try {
      await work();
      return 'done';
    } catch (cause) {
      if (cause instanceof StoreUnavailableError) throw cause;
      const entry = { err: cause, [LOG_KEY.scheduleId]: scheduleId };
      this.#deps.log.warn(entry, 'a run of a schedule could not be started; trying again');
      return 'failed';
    }
  }

  /**
   * Gives each schedule the first tick after `now`, if its next one is later: the clock was ahead when that was computed. A tick that has
   * run already does not run again.
   */
  async #moveTicksBack(now: number): Promise<void> {
    const { store } = this.#deps;
    for await (const { scheduleId, definition, anchorAt: anchor, nextAt: from } of this.#all((p) =>
      store.listSchedules(p),
    )) {
      if (from === undefined || from <= now) continue;
      await this.#try(scheduleId, async () => {
        const to = nextTick(definition.timing, { anchor, after: now });
        if (to !== undefined && to < from) await store.moveNextTick({ scheduleId, from, to });
      });
    }
  }

  /** Yields the items of all pages of a list. */
  async *#all<T>(list: (page: PageRequest) => Promise<Page<T>>): AsyncGenerator<T> {
    let page: Page<T> | undefined;
    do {
      page = await list({ limit: MAX_ROWS, ...(page?.next === undefined ? {} : { after: page.next }) });
      for (const item of page.items) if (!this.#stopped) yield item;
    } while (page.next !== undefined && !this.#stopped);
  }

  /** Starts queued runs whose previous run has ended, and runs that another server abandoned. Returns whether any run was open. */
  async #goOn(): Promise<boolean> {
    const { store, starter, now } = this.#deps;
    let open = false;
    for await (const run of this.#all((p) => store.listOpenRuns(p))) {
      open = true;
      await this.#try(run.scheduleId, async () => {
        const schedule = await store.getSchedule({ scheduleId: run.scheduleId });
        if (schedule === undefined) return;
        if (run.outcome === 'queued' && schedule.paused !== undefined) await this.#skip(run, 'paused');
        else if (await this.#mayStart(run, now())) await starter.start(schedule, run.dueAt);
      });
    }
    return open;
  }

  async #mayStart({ scheduleId, outcome, decidedAt }: ScheduleRun, now: number): Promise<boolean> {
    // The clock may have been ahead when the run was decided.
    if (outcome === 'starting') return Math.abs(now - decidedAt) > ABANDONED_AFTER_MS;
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

/** Returns the next tick of a schedule after `now`. A paused schedule has none. */
export function dueFrom(
  { timing }: Pick<Schedule['definition'], 'timing'>,
  p: { anchor: number; now: number; paused: string | undefined },
): Pick<Schedule, 'anchorAt' | 'nextAt' | 'paused'> {
  const { anchor, now: after, paused } = p;
  if (paused !== undefined) return { anchorAt: anchor, paused };
  const nextAt = nextTick(timing, { anchor, after });
  return { anchorAt: anchor, ...(nextAt === undefined ? {} : { nextAt }) };
}
