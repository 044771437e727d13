/** Formats spans of time and sizes. */
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** Formats a span in ms such as `1 m 20 s`: the two largest units; below ten seconds with a decimal. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const [first, ...rest] = UNITS.filter(([, unit]) => ms >= unit);
  if (first === undefined) return '0 s';
  const [name, unit] = first;
  const left = ms % unit;
  const [next] = rest;
  const more = next === undefined ? 0 : Math.floor(left / next[1]);
  return `${Math.floor(ms / unit)} ${name}${more > 0 && next !== undefined ? ` ${more} ${next[0]}` : ''}`;
}

/** Formats `3 m ago` for a time that has passed, in ms; `in 3 m` for a future one. */
export function ageText(ms: number): string {
  const span = Math.abs(ms);
  if (span < 2000) return 'now';
  const [name, unit] = UNITS.find(([, size]) => span >= size) ?? UNITS[3];
  const text = `${Math.floor(span / unit)} ${name}`;
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

const TO_THE_MINUTE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** Formats an ISO time to the minute, in the time zone and the language of the browser. */
export function shortTime(at: string): string {
  return TO_THE_MINUTE.format(new Date(at));
}

/** Formats bytes such as `4.2 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
