/** The runner's clock: starts at the time of day, then follows only the monotonic clock, so that it never goes back. */
export interface Clock {
  /** ms since the epoch. */
  now(): number;
}

/** Returns a clock that starts now. */
export function startClock(): Clock {
  const offset = Date.now() - performance.now();
  return { now: () => Math.floor(offset + performance.now()) };
}
