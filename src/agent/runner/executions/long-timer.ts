/** Maximum delay of a timer of the platform, ms. With a longer one the platform fires immediately. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `callback` after `delayMs` of monotonic time, however long, and never before. Returns the cancellation. The rest is measured
 * again after each stretch, so that the delays of the stretches do not add up; after the last one too, since the platform counts in whole
 * milliseconds and fires up to two of them early.
 */
export function startLongTimer(delayMs: number, callback: () => void): () => void {
  const due = performance.now() + delayMs;
  let timer = arm();
  function arm(): NodeJS.Timeout {
    return setTimeout(fired, Math.min(Math.max(0, due - performance.now()), MAX_TIMER_MS));
  }
  function fired(): void {
    if (performance.now() < due) timer = arm();
    else callback();
  }
  return () => clearTimeout(timer);
}

/** Starts a long timer for a timeout. Without a timeout `callback` is never called. */
export function armTimeout(timeoutMs: number | undefined, callback: () => void): () => void {
  return timeoutMs === undefined ? () => {} : startLongTimer(timeoutMs, callback);
}
