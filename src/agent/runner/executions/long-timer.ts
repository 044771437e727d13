/** The longest delay that a timer of the platform holds. With a longer one the platform fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Calls `callback` after `delayMs` of monotonic time, however long, and never before. Returns the cancellation. The rest is measured
 * again after each stretch, so that the delays of the stretches do not add up; after the last one too, since the platform counts in whole
 * milliseconds and fires up to two of them early.
 */
export function startLongTimer(delayMs: number, callback: () => void): () => void {
  const due = performance.now() + delayMs;
  let timer = arm();
  function arm(): NodeJS.Timeout {
    return setTimeout(fired, Math.min(Math.max(0, due - performance.now()), LONGEST_MS));
  }
  function fired(): void {
    if (performance.now() < due) timer = arm();
    else callback();
  }
  return () => clearTimeout(timer);
}

/** A long timer for a timeout that may be absent: then nothing is ever called. */
export function armTimeout(timeoutMs: number | undefined, callback: () => void): () => void {
  return timeoutMs === undefined ? () => {} : startLongTimer(timeoutMs, callback);
}
