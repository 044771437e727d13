import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { startHousekeeping } from '../../src/server/housekeeping.ts';

const logger = { info: vi.fn(), warn: vi.fn() };
const DAY_MS = 86_400_000;

test('deletes in steps until nothing is due, by the age asked for', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const left = [50, 50, 7, 0];
  const deleteFinished = vi.fn(async () => left.shift() ?? 0);
  const housekeeping = startHousekeeping({
    store: { deleteFinished, forgetExpired: async () => 0 },
    logger,
    now: () => 100 * DAY_MS,
    retentionDays: 30,
  });
  while (left.length > 0) {
    await turn();
    await vi.advanceTimersByTimeAsync(20);
  }
  await housekeeping.stop();
  vi.useRealTimers();
  expect(deleteFinished).toHaveBeenCalledTimes(4);
  expect(deleteFinished).toHaveBeenCalledWith({ before: 70 * DAY_MS, limit: 50 });
});

test('keeps finished executions for ever at 0 days, and still forgets expired keys', async () => {
  const deleteFinished = vi.fn(async () => 0);
  const forgotten = Promise.withResolvers<void>();
  const housekeeping = startHousekeeping({
    store: {
      deleteFinished,
      forgetExpired: async () => {
        forgotten.resolve();
        return 0;
      },
    },
    logger,
    now: Date.now,
    retentionDays: 0,
  });
  await forgotten.promise;
  await housekeeping.stop();
  expect(deleteFinished).not.toHaveBeenCalled();
});

test('a failing store stops nothing: the next round tries again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let calls = 0;
  const second = Promise.withResolvers<void>();
  const housekeeping = startHousekeeping({
    store: {
      deleteFinished: async () => {
        calls += 1;
        if (calls === 1) throw new Error('disk full');
        second.resolve();
        return 0;
      },
      forgetExpired: async () => 0,
    },
    logger,
    now: Date.now,
    retentionDays: 1,
  });
  await turn();
  await vi.advanceTimersByTimeAsync(60_000);
  await second.promise;
  await housekeeping.stop();
  vi.useRealTimers();
  expect(calls).toBeGreaterThanOrEqual(2);
});
