import { expect, test } from 'vitest';
import { LiveStdin, StdinFeed } from '../../../../src/agent/runner/executions/stdin.ts';

const KB = 1024;

test('progress is reported once 256 KiB more were taken over, or all that has come: not at each read of the command', () => {
  const live = new LiveStdin();
  const feed = new StdinFeed(live);
  const written: number[] = [];
  feed.open((bytes) => written.push(bytes.length));
  live.push({ offset: 0, close: false }, Buffer.alloc(1536 * KB));
  feed.sendMore();
  expect(written).toEqual([256 * KB, 256 * KB, 256 * KB, 256 * KB]);
  expect(feed.hasProgress).toBe(true);
  expect(feed.report()).toEqual({ offset: 1024 * KB, closed: false });
  expect(feed.hasProgress).toBe(false);
  feed.consumed(64 * KB, false);
  expect([feed.sentBytes, feed.hasProgress]).toEqual([1088 * KB, false]);
  feed.consumed(256 * KB, false);
  expect([feed.sentBytes, feed.hasProgress]).toEqual([1280 * KB, true]);
  feed.report();
  feed.consumed(500 * KB, false);
  expect([feed.sentBytes, feed.hasProgress]).toEqual([1524 * KB, false]);
  feed.consumed(600 * KB, false);
  expect([feed.sentBytes, feed.hasProgress]).toEqual([1536 * KB, true]);
  feed.report();
  feed.consumed(1536 * KB, true);
  expect(feed.hasProgress).toBe(true);
  expect(feed.report()).toEqual({ offset: 1536 * KB, closed: true });
});
