import { expect, test, vi } from 'vitest';
import { PendingAnswers } from '../../../../src/server/control/cluster/pending-answers.ts';

const FOREVER_MS = 3_600_000;

test('an order to a server that is dead counts as lost, but not one to a server that has started just now', async () => {
  vi.useFakeTimers();
  const answers = new PendingAnswers({ takeAnswers: async () => [] });
  const settled = vi.fn();
  void answers.wait({ orderId: 1, replicaId: 2 }, FOREVER_MS).then(settled);
  void answers.wait({ orderId: 2, replicaId: 3 }, FOREVER_MS).then(() => expect.unreachable('server 3 lives'));
  answers.living(new Set([1, 3]));
  await vi.advanceTimersByTimeAsync(6000);
  expect(settled).not.toHaveBeenCalled();
  answers.living(new Set([1, 3]));
  await vi.advanceTimersByTimeAsync(0);
  expect(settled).toHaveBeenCalledWith('lost');
  vi.useRealTimers();
});

test('an order that a crash of the database has deleted counts as lost', async () => {
  const answers = new PendingAnswers({ takeAnswers: async ({ orderIds }) => orderIds.map((orderId) => ({ orderId })) });
  const waiting = answers.wait({ orderId: 1, replicaId: 2 }, FOREVER_MS);
  await answers.takeAnswers();
  expect(await waiting).toBe('lost');
});

test('answers are read one read at a time, and once more for a call during a read', async () => {
  let reads = 0;
  let finish = (): void => {};
  const answers = new PendingAnswers({
    takeAnswers: async () => {
      reads += 1;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return [];
    },
  });
  void answers.wait({ orderId: 1, replicaId: 2 }, FOREVER_MS);
  const both = [answers.takeAnswers(), answers.takeAnswers()];
  expect(reads).toBe(1);
  finish();
  await vi.waitFor(() => expect(reads).toBe(2));
  finish();
  await Promise.all(both);
  answers.close();
});
