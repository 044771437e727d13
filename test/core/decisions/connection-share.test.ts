import { expect, test } from 'vitest';
import { excessConnections } from '../../../src/core/decisions/connection-share.ts';

test.each([
  ['the only server', { own: 1000, total: 1000, servers: 1 }, 0],
  ['its share, and half of one more', { own: 500, total: 1000, servers: 3 }, 0],
  ['few connections', { own: 9, total: 9, servers: 3 }, 0],
  ['all of few', { own: 30, total: 30, servers: 3 }, 1],
  ['all of many: a part at once', { own: 10_000, total: 10_000, servers: 4 }, 200],
  ['more than were counted', { own: 40, total: 0, servers: 2 }, 1],
  ['nothing', { own: 0, total: 100, servers: 2 }, 0],
])('%s', (_name, present, excess) => {
  expect(excessConnections(present)).toBe(excess);
});

test('a server that gives away the excess ends near its share, and stops', () => {
  let own = 900;
  for (let round = 0; round < 1000; round += 1) {
    const excess = excessConnections({ own, total: 900, servers: 3 });
    if (excess === 0) break;
    own -= excess;
  }
  expect(own).toBeLessThanOrEqual(450);
  expect(own).toBeGreaterThan(300);
});
