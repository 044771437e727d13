/** The idle time after which a machine is put to sleep, as callers write it: `never`, seconds, or `7d3h4s`. */

export const AUTOSLEEP_PATTERN = '^(never|[0-9]+|(?=[0-9])([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?)$';
const MAX_SECONDS = 315_360_000;
const UNITS = { w: 604_800, d: 86_400, h: 3600, m: 60, s: 1 } as const;

/** Parses an idle time to seconds; 0 for `never`. Undefined if the text is malformed, or the time is longer than ten years. */
export function parseAutosleep(text: string): number | undefined {
  if (!new RegExp(AUTOSLEEP_PATTERN).test(text)) return undefined;
  const seconds = /^[0-9]+$/.test(text) ? Number(text) : secondsOf(text);
  return seconds <= MAX_SECONDS ? seconds : undefined;
}

function secondsOf(text: string): number {
  const parts = text.matchAll(/([0-9]+)([wdhms])/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit as keyof typeof UNITS], 0);
}
