/** If the clock of the machine jumps (fault 21), the times in the runner's reports do not jump. */
import { afterEach, expect, test, vi } from 'vitest';
import { startClock } from '../../../../src/agent/runner/journal/clock.ts';

const HOUR_MS = 3_600_000;

afterEach(() => void vi.useRealTimers());

/** Changes only the time of day; timers and the monotonic clock are unchanged. */
function jumpTo(now: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now });
}

test.each([HOUR_MS, -HOUR_MS])('a clock jump of %d ms: the times of reports continue from where they were', (jump) => {
  const clock = startClock();
  const before = clock.now();
  jumpTo(Date.now() + jump);
  const after = clock.now();
  expect(after).toBeGreaterThanOrEqual(before);
  expect(after).toBeLessThan(before + HOUR_MS / 2);
});
