import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { startHousekeeping } from '../../../src/server/operations/housekeeping.ts';

const logger = { info: vi.fn(), warn: vi.fn() };
const DAY_MS = 86_400_000;
/** A stub of the store without expired data. */
const idle = {
  deleteFinished: async () => 0,
  deleteEndedBatches: async () => 0,
  expireArtifacts: async () => 0,
  releaseEndedTerminals: async () => 0,
  forgetExpired: async () => 0,
  maintain: async () => false,
  usedBytes: async () => 0,
};
const KEEP = { retentionDays: 0, maxDatabaseBytes: 0 };

test('deletes in steps until nothing is due, by the configured age', async () => {
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

test('deletes batches by the same age, after the executions', async () => {
  const done: string[] = [];
  const over = Promise.withResolvers<void>();
  const deletes = (what: string) => async (p: { before: number }) => {
    done.push(`${what} before day ${p.before / DAY_MS}`);
    return 0;
  };
  const housekeeping = startHousekeeping({
    store: {
      ...idle,
      deleteFinished: deletes('executions'),
      deleteEndedBatches: deletes('batches'),
      forgetExpired: async () => {
        over.resolve();
        return 0;
      },
    },
    logger,
    now: () => 100 * DAY_MS,
    ...KEEP,
    retentionDays: 30,
  });
  await over.promise;
  await housekeeping.stop();
  expect(done).toEqual(['executions before day 70', 'batches before day 70']);
});

test('deletes the contents of terminals an hour after their end', async () => {
  const left = [5, 2, 0];
  const releaseEndedTerminals = vi.fn(async () => left.shift() ?? 0);
  const forgotten = Promise.withResolvers<void>();
  const housekeeping = startHousekeeping({
    store: {
      ...idle,
      releaseEndedTerminals,
      forgetExpired: async () => {
        forgotten.resolve();
        return 0;
      },
    },
    logger,
    now: () => 100 * DAY_MS,
    ...KEEP,
  });
  await forgotten.promise;
  await housekeeping.stop();
  expect(releaseEndedTerminals.mock.calls).toEqual(
    Array.from({ length: 3 }, () => [{ endedBefore: 100 * DAY_MS - 3_600_000, limit: 5 }]),
  );
});

test('keeps finished executions for ever at 0 days, but deletes expired keys', async () => {
  const deleteFinished = vi.fn(async () => 0);
  const forgotten = Promise.withResolvers<void>();
  const housekeeping = startHousekeeping({
    store: {
      ...idle,
      deleteFinished,
      expireArtifacts: async () => 0,
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

test('deletes the oldest while the store is above its size, and clears each before it looks again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const done: string[] = [];
  let usedBytes = 250;
  let uncleared = 0;
  const fits = Promise.withResolvers<void>();
  const housekeeping = startHousekeeping({
    store: {
      ...idle,
      deleteFinished: async ({ before }) => {
        done.push(`delete before ${before === Number.MAX_SAFE_INTEGER ? 'ever' : before}`);
        uncleared += 1;
        return 1;
      },
      maintain: async ({ maxBytes }) => {
        expect(maxBytes).toBe(150);
        if (uncleared === 0) return false;
        uncleared -= 1;
        done.push('maintain');
        usedBytes -= 60;
        return true;
      },
      usedBytes: async () => {
        if (usedBytes <= 150) fits.resolve();
        return usedBytes;
      },
    },
    logger,
    now: Date.now,
    ...KEEP,
    maxDatabaseBytes: 150,
  });
  const over = fits.promise.then(() => true);
  while (!(await Promise.race([over, turn(false)]))) await vi.advanceTimersByTimeAsync(20);
  await housekeeping.stop();
  vi.useRealTimers();
  expect(done).toEqual(['delete before ever', 'maintain', 'delete before ever', 'maintain']);
});

test('continues with the next round after the store fails', async () => {
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
