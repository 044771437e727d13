/** Long work in steps: done at once, or with a turn of the event loop between the steps, so that it holds up others by one step only. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Runs all steps at once. */
export function atOnce<T>(steps: Iterator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** Runs one step in each turn. */
export async function inTurns<T>(steps: Iterator<void, T>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    await nextTurn();
  }
}
