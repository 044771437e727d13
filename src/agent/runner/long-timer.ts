/** The longest delay that a timer of the platform holds; beyond it the platform fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Calls `callback` after `delayMs` of monotonic time, however long that is. Returns the cancellation.
 * What is left is measured anew for each stretch, so that the stretches' delays do not add up.
 */
export function startLongTimer(delayMs: number, callback: () => void): () => void {
  const due = performance.now() + delayMs;
  let timer = arm();
  function arm(): NodeJS.Timeout {
    const left = Math.max(0, due - performance.now());
    return left > LONGEST_MS ? setTimeout(rearm, LONGEST_MS) : setTimeout(callback, left);
  }
  function rearm(): void {
    timer = arm();
  }
  return () => clearTimeout(timer);
}
