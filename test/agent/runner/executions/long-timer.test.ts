/** The machine's clock jumps (fault 21): timeouts count real time. */
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { startLongTimer } from '../../../../src/agent/runner/executions/long-timer.ts';

const HOUR_MS = 3_600_000;

afterEach(() => void vi.useRealTimers());

/** Changes only the time of day; timers and the monotonic clock are unchanged. */
function jumpTo(now: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now });
}

test.each([HOUR_MS, -HOUR_MS])('a clock jump of %d ms: a timeout comes neither early nor late', async (jump) => {
  const began = performance.now();
  const due = new Promise<number>((resolve) => startLongTimer(100, () => resolve(performance.now() - began)));
  jumpTo(Date.now() + jump);
  expect(await due).toBeGreaterThanOrEqual(100);
});

test('a timer of 0 ms does not ask the platform for a negative time, which would print a warning', async () => {
  const warned = vi.fn();
  process.on('warning', warned);
  onTestFinished(() => void process.off('warning', warned));
  await new Promise<void>((resolve) => void startLongTimer(0, resolve));
  await new Promise(setImmediate);
  expect(warned).not.toHaveBeenCalled();
});
