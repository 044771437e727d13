/** The runner's clock: it starts at the time of day and then only follows the monotonic clock, so it never goes back. */
export interface Clock {
  /** ms since the epoch. */
  now(): number;
}

/** A clock that starts now. */
export function startClock(): Clock {
  const offset = Date.now() - performance.now();
  return { now: () => Math.floor(offset + performance.now()) };
}
