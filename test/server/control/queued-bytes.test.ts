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

/** A quota of 100 bytes for each key. */
function quotaOver(store: ReturnType<typeof storeWith>, now: () => number = () => 0, servers = 1): QueuedBytes {
  return new QueuedBytes(store, { limit: 100, now, servers: () => servers });
}

test('a key may have bytes waiting up to the limit; other keys have their own limit', async () => {
  const store = storeWith(0);
  const quota = quotaOver(store);
  expect([await quota.admits('a', 60), await quota.admits('a', 40)]).toEqual([true, true]);
  store.waiting = 100;
  expect(await quota.admits('a', 1)).toBe(false);
  store.waiting = 0;
  expect(await quota.admits('b', 100)).toBe(true);
});

test('bytes that have left the queue are free again', async () => {
  const store = storeWith(0);
  let now = 0;
  const quota = quotaOver(store, () => now);
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
  const quota = quotaOver(store);
  expect(await quota.admits('a', 500)).toBe(true);
  store.waiting = 500;
  expect(await quota.admits('a', 1)).toBe(false);
});

test('a server that has just started asks for the waiting bytes; a refused flood asks once a second', async () => {
  const store = storeWith(90);
  let now = 0;
  const quota = quotaOver(store, () => now);
  expect(await quota.admits('a', 20)).toBe(false);
  const { asked } = store;
  for (let count = 0; count < 50; count += 1) expect(await quota.admits('a', 20)).toBe(false);
  expect(store.asked).toBe(asked);
  now += 1000;
  store.waiting = 0;
  expect(await quota.admits('a', 20)).toBe(true);
});

test('a refused request does not stand in the way of a smaller one', async () => {
  const store = storeWith(90);
  const quota = quotaOver(store);
  expect([await quota.admits('a', 20), await quota.admits('a', 10)]).toEqual([false, true]);
});

test('several servers share the limit of a key: together they exceed it by at most a sixteenth for each other server', async () => {
  const store = storeWith(0);
  const quotas = [1, 2, 3].map(() => quotaOver(store, () => 0, 3));
  let admitted = 0;
  for (let turn = 0; turn < 600; turn += 1) {
    const quota = quotas[turn % quotas.length];
    if ((await quota?.admits('a', 1)) !== true) continue;
    admitted += 1;
    // What waits is in the store by the time that a server asks.
    store.waiting = admitted;
  }
  expect(admitted).toBeGreaterThanOrEqual(99);
  expect(admitted).toBeLessThanOrEqual(100 + 2 * (100 / 16));
});

test('what other servers have admitted counts at the latest after a second, and what has left the queue is free again', async () => {
  const store = storeWith(0);
  let now = 0;
  const quota = quotaOver(store, () => now, 2);
  expect(await quota.admits('a', 50)).toBe(true);
  store.waiting = 52;
  expect(await quota.admits('a', 2)).toBe(true);
  store.waiting = 100;
  now += 1000;
  expect(await quota.admits('a', 2)).toBe(false);
  store.waiting = 10;
  now += 1000;
  expect(await quota.admits('a', 2)).toBe(true);
});
