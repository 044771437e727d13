/** Computes the ticks of a schedule. */
import { Cron } from 'croner';
import type { Timing } from '../../../core/schedule.ts';

/** A timing that is not valid. `field`: the faulty field of the request. */
export class TimingError extends Error {
  override readonly name = 'TimingError';
  readonly field: 'cron' | 'time_zone';

  constructor(message: string, { field, ...options }: ErrorOptions & Pick<TimingError, 'field'>) {
    super(message, options);
    this.field = field;
  }
}

/**
 * Returns the first tick after `after` (ms since the epoch); undefined if there is none. Ticks of `everyMs` are counted from `anchor`. When
 * clocks go forward, a skipped time is moved to the moment of the change; when they go back, the first of two equal times counts. Throws
 * TimingError.
 */
export function nextTick(timing: Timing, p: { anchor: number; after: number }): number | undefined {
  if ('everyMs' in timing) {
    const passed = Math.floor((p.after - p.anchor) / timing.everyMs);
    return p.anchor + (passed + 1) * timing.everyMs;
  }
  return cronOf(timing).nextRun(new Date(p.after))?.getTime();
}

/** Returns the first `count` ticks after `after`. Throws TimingError. */
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
    throw new TimingError('is not an IANA time zone such as Europe/Berlin', { cause, field: 'time_zone' });
  }
  try {
    return new Cron(cron, { mode: '5-part', timezone: timeZone, paused: true });
  } catch (cause) {
    const reason = (cause as Error).message.replace(/^CronPattern: /, '');
    throw new TimingError(`is not a cron expression of five fields: ${reason}`, { cause, field: 'cron' });
  }
}
