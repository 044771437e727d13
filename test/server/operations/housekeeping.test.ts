import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { startHousekeeping } from '../../../src/server/operations/housekeeping.ts';

const logger = { info: vi.fn(), warn: vi.fn() };
const DAY_MS = 86_400_000;
/** A store with nothing to do. */
const idle = {
  deleteFinished: async () => 0,
  clearDeleted: async () => false,
  forgetExpired: async () => 0,
  size: async () => ({ usedBytes: 0, freeBytes: 0 }),
  shrink: async () => false,
};
const KEEP = { retentionDays: 0, maxDatabaseBytes: 0 };

test('deletes in steps until nothing is due, by the age asked for', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const left = [50, 50, 7, 0];
  const deleteFinished = vi.fn(async () => left.shift() ?? 0);
  const housekeeping = startHousekeeping({
    store: { ...idle, deleteFinished },
    logger,
    now: () => 100 * DAY_MS,
    ...KEEP,
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
      ...idle,
      deleteFinished,
      forgetExpired: async () => {
        forgotten.resolve();
        return 0;
      },
    },
    logger,
    now: Date.now,
    ...KEEP,
  });
  await forgotten.promise;
  await housekeeping.stop();
  expect(deleteFinished).not.toHaveBeenCalled();
});

test('above its size the oldest go until it fits, and the room goes back to the disk', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const done: string[] = [];
  const size = { usedBytes: 250, freeBytes: 0 };
  let uncleared = 0;
  const settled = Promise.withResolvers<void>();
  const housekeeping = startHousekeeping({
    store: {
      ...idle,
      deleteFinished: async ({ before }) => {
        done.push(`delete before ${before === Number.MAX_SAFE_INTEGER ? 'ever' : before}`);
        uncleared += 1;
        return 1;
      },
      clearDeleted: async () => {
        if (uncleared === 0) return false;
        uncleared -= 1;
        done.push('clear');
        size.usedBytes -= 60;
        size.freeBytes += 60;
        return true;
      },
      size: async () => size,
      shrink: async () => {
        done.push('shrink');
        size.freeBytes -= 60;
        if (size.usedBytes + size.freeBytes <= 150) settled.resolve();
        return true;
      },
    },
    logger,
    now: Date.now,
    ...KEEP,
    maxDatabaseBytes: 150,
  });
  const over = settled.promise.then(() => true);
  while (!(await Promise.race([over, turn(false)]))) await vi.advanceTimersByTimeAsync(20);
  await housekeeping.stop();
  vi.useRealTimers();
  expect(done).toEqual(['delete before ever', 'clear', 'delete before ever', 'clear', 'shrink', 'shrink']);
});

test('a failing store stops nothing: the next round tries again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let calls = 0;
  const second = Promise.withResolvers<void>();
  const housekeeping = startHousekeeping({
    store: {
      ...idle,
      deleteFinished: async () => {
        calls += 1;
        if (calls === 1) throw new Error('disk full');
        second.resolve();
        return 0;
      },
    },
    logger,
    now: Date.now,
    ...KEEP,
    retentionDays: 1,
  });
  await turn();
  await vi.advanceTimersByTimeAsync(60_000);
  await second.promise;
  await housekeeping.stop();
  vi.useRealTimers();
  expect(calls).toBeGreaterThanOrEqual(2);
});
