/** Formats the timing of a schedule. */
import type { Schedule } from '../../data/schedules.ts';
import { durationText } from '../../parts/duration.ts';

/** Returns a text such as "0 3 * * * (Europe/Berlin)", or "every 15 m". */
export function timingText({ cron, time_zone: zone = 'UTC', every_seconds: every = 0 }: Schedule): string {
  return cron === undefined ? `every ${durationText(every * 1000)}` : `${cron} (${zone})`;
}
