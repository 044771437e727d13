/** Formats times for people. */

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** Returns the age of a time of the API: `4m ago`; `-` for none. `now`: ms since the epoch. */
export function age(time: string | undefined, now: number = Date.now()): string {
  if (time === undefined) return '-';
  const text = span(now - Date.parse(time));
  return text === '0s' ? 'now' : `${text} ago`;
}

/** Returns the time left until a time of the API: `in 3d`, `expired`. */
export function until(time: string | undefined, now: number = Date.now()): string {
  if (time === undefined) return '-';
  const ms = Date.parse(time) - now;
  return ms <= 0 ? 'expired' : `in ${span(ms)}`;
}

/** Returns a length of time in its largest unit: `90m` becomes `1h`. */
export function span(ms: number): string {
  const [unit, length] = UNITS.find(([, size]) => ms >= size) ?? ['s', 1000];
  return `${Math.max(0, Math.floor(ms / length))}${unit}`;
}
