/** When a schedule is due next. */
import { Cron } from 'croner';
import type { Timing } from '../../../core/schedule.ts';

/** Why a timing is none, and of which of its fields that is. */
export class TimingError extends Error {
  override readonly name = 'TimingError';
  readonly field: 'cron' | 'time_zone';

  constructor(message: string, { field, ...options }: ErrorOptions & Pick<TimingError, 'field'>) {
    super(message, options);
    this.field = field;
  }
}

/**
 * The first tick after `after` (ms since the epoch); undefined if there is none. Those of `everyMs` are counted from `anchor`. A time
 * that a day has not, since its clocks go forward, is that at which they go on; of one that it has twice the first counts. Throws
 * TimingError.
 */
export function nextTick(timing: Timing, p: { anchor: number; after: number }): number | undefined {
  if ('everyMs' in timing) {
    const passed = Math.floor((p.after - p.anchor) / timing.everyMs);
    return p.anchor + Math.max(0, passed + 1) * timing.everyMs;
  }
  return cronOf(timing).nextRun(new Date(p.after))?.getTime();
}

/** The first `count` ticks after `after`. Throws TimingError. */
export function nextTicks(timing: Timing, p: { anchor: number; after: number; count: number }): number[] {
  const ticks: number[] = [];
  let tick = nextTick(timing, p);
  while (tick !== undefined && ticks.length < p.count) {
    ticks.push(tick);
    tick = nextTick(timing, { anchor: p.anchor, after: tick });
  }
  return ticks;
}

function cronOf({ cron, timeZone }: { cron: string; timeZone: string }): Cron {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch (cause) {
    throw new TimingError('is no time zone, such as Europe/Berlin', { cause, field: 'time_zone' });
  }
  try {
    return new Cron(cron, { mode: '5-part', timezone: timeZone, paused: true });
  } catch (cause) {
    const reason = (cause as Error).message.replace(/^CronPattern: /, '');
    throw new TimingError(`is no cron expression of five fields: ${reason}`, { cause, field: 'cron' });
  }
}
