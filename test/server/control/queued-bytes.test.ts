/** The quota of waiting bytes of one API key. */
import { expect, test } from 'vitest';
import { QueuedBytes } from '../../../src/server/control/queued-bytes.ts';

/** A stub of the store with `waiting` bytes in waiting executions. */
function storeWith(waiting: number) {
  return {
    waiting,
    asked: 0,
    async queuedBytes() {
      this.asked += 1;
      return this.waiting;
    },
  };
}

test('a key may have bytes waiting up to the limit; other keys have their own limit', async () => {
  const store = storeWith(0);
  const quota = new QueuedBytes(store, 100, () => 0);
  expect([await quota.admits('a', 60), await quota.admits('a', 40)]).toEqual([true, true]);
  store.waiting = 100;
  expect(await quota.admits('a', 1)).toBe(false);
  store.waiting = 0;
  expect(await quota.admits('b', 100)).toBe(true);
});

test('bytes that have left the queue are free again', async () => {
  const store = storeWith(0);
  let now = 0;
  const quota = new QueuedBytes(store, 100, () => now);
  await quota.admits('a', 100);
  store.waiting = 30;
  expect(await quota.admits('a', 70)).toBe(true);
  store.waiting = 100;
  expect(await quota.admits('a', 1)).toBe(false);
  store.waiting = 0;
  now += 1000;
  expect(await quota.admits('a', 1)).toBe(true);
});

test('a request that is larger than the limit may wait alone', async () => {
  const store = storeWith(0);
  const quota = new QueuedBytes(store, 100, () => 0);
  expect(await quota.admits('a', 500)).toBe(true);
  store.waiting = 500;
  expect(await quota.admits('a', 1)).toBe(false);
});

test('a server that has just started asks for the waiting bytes; a refused flood asks once a second', async () => {
  const store = storeWith(90);
  let now = 0;
  const quota = new QueuedBytes(store, 100, () => now);
  expect(await quota.admits('a', 20)).toBe(false);
  const { asked } = store;
  for (let count = 0; count < 50; count += 1) expect(await quota.admits('a', 20)).toBe(false);
  expect(store.asked).toBe(asked);
  now += 1000;
  store.waiting = 0;
  expect(await quota.admits('a', 20)).toBe(true);
});
