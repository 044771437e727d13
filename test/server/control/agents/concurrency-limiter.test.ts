import { expect, test } from 'vitest';
import { ConcurrencyLimiter } from '../../../../src/server/control/agents/concurrency-limiter.ts';

test('the limiter runs a fixed number at a time, queues the others in order, and refuses those above the length of the queue', async () => {
  const limiter = new ConcurrencyLimiter(2, 2);
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const entered: number[] = [];
  const outcomes = gates.map((gate, index) =>
    limiter.run(async () => {
      entered.push(index);
      await gate.promise;
      return 'done';
    }),
  );
  expect(await outcomes[4]).toBe('refused');
  expect(entered).toEqual([0, 1]);
  gates[1]?.resolve();
  await outcomes[1];
  expect(entered).toEqual([0, 1, 2]);
  for (const gate of gates) gate.resolve();
  expect(await Promise.all(outcomes)).toEqual(['done', 'done', 'done', 'done', 'refused']);
});

test('work that fails frees its place', async () => {
  const limiter = new ConcurrencyLimiter(1, 1);
  const failing = limiter.run(() => Promise.reject(new Error('no')));
  const next = limiter.run(async () => 'done');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('done');
});
