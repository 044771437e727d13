/** Repeated work: continues after a failure, never runs twice at once, and ends when it is stopped. */
import { expect, test, vi } from 'vitest';
import { Poll } from '../../src/server/poll.ts';

const INTERVAL_MS = 1000;

test('the next round starts an interval after the last one has ended, even if that failed', async () => {
  vi.useFakeTimers();
  const failures: unknown[] = [];
  const running: PromiseWithResolvers<void>[] = [];
  const work = () => {
    const one = Promise.withResolvers<void>();
    running.push(one);
    return one.promise;
  };
  const poll = new Poll({ work, intervalMs: INTERVAL_MS, failed: (cause) => failures.push(cause) });
  poll.start();
  await vi.advanceTimersByTimeAsync(INTERVAL_MS - 1);
  expect(running).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(3 * INTERVAL_MS);
  expect(running).toHaveLength(1);
  const fault = new Error('no database');
  running[0]?.reject(fault);
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  expect([running.length, failures]).toEqual([2, [fault]]);

  let stopped = false;
  const stopping = poll.stop().then(() => {
    stopped = true;
  });
  await vi.advanceTimersByTimeAsync(INTERVAL_MS);
  expect(stopped).toBe(false);
  running[1]?.resolve();
  await stopping;
  await vi.advanceTimersByTimeAsync(3 * INTERVAL_MS);
  expect([running.length, poll.stopped]).toEqual([2, true]);
  vi.useRealTimers();
});
