import { expect, test } from 'vitest';
import { type Deliverable, DeliveryQueue } from '../../../../src/server/operations/webhooks/delivery-queue.ts';

const delivery = (host: string, createdBy: string, beginBy = 1000): Deliverable => ({ host, createdBy, beginBy });

/** Takes deliveries until the queue returns none. */
function takeAll(queue: DeliveryQueue<Deliverable>, now = 0): Deliverable[] {
  const taken: Deliverable[] = [];
  for (let next = queue.take(now); next !== undefined; next = queue.take(now)) taken.push(next);
  return taken;
}

test('one key has four slots per host, and all keys together have eight', () => {
  const queue = new DeliveryQueue();
  for (let count = 0; count < 20; count += 1) queue.push(delivery('a', 'key-1'));
  expect(takeAll(queue)).toHaveLength(4);
  for (const key of ['key-2', 'key-3']) {
    for (let count = 0; count < 20; count += 1) queue.push(delivery('a', key));
  }
  expect(takeAll(queue)).toHaveLength(4);
});

test('slots are left for others, however many hosts one key calls', () => {
  const queue = new DeliveryQueue();
  for (let host = 0; host < 500; host += 1) queue.push(delivery(`host-${host}`, 'key-1'));
  expect(takeAll(queue).length).toBeLessThan(32);
  for (let host = 0; host < 500; host += 1) queue.push(delivery(`host-${host}`, 'key-2'));
  expect(takeAll(queue).length).toBeGreaterThan(0);
  queue.push(delivery('healthy', 'key-3'));
  expect(takeAll(queue)).toEqual([delivery('healthy', 'key-3')]);
});

test('a free slot goes to the deliveries whose turn it is', () => {
  const queue = new DeliveryQueue();
  for (let count = 0; count < 6; count += 1) queue.push(delivery('a', 'key-1'));
  const [first] = takeAll(queue);
  queue.done(first ?? expect.fail('nothing was taken'));
  expect(takeAll(queue)).toHaveLength(1);
  expect(takeAll(queue)).toHaveLength(0);
});

test('a delivery that waits longer than its claim lasts does not start', () => {
  const queue = new DeliveryQueue();
  queue.push(delivery('a', 'key-1', 10));
  queue.push(delivery('a', 'key-1', 30));
  expect(takeAll(queue, 20)).toEqual([delivery('a', 'key-1', 30)]);
});

test('a flood to one receiver is refused, and the first callback to another is accepted', () => {
  const queue = new DeliveryQueue();
  const flood = (host: string) => Array.from({ length: 600 }, () => queue.push(delivery(host, 'key-1')));
  expect(flood('a').filter(Boolean)).toHaveLength(512);
  for (let host = 0; host < 10; host += 1) flood(`b-${host}`);
  expect(flood('c').filter(Boolean)).toHaveLength(4);
  expect(queue.push(delivery('healthy', 'key-2'))).toBe(true);
});
