import { expect, test } from 'vitest';
import { MAX_WINDOW_BYTES, ReadAhead } from '../../../../src/server/control/terminals/read-ahead.ts';

/** Sends and takes pieces of 64 KiB, each of which takes `ms` to the client. Returns the time after them. */
function pass(readAhead: ReadAhead, pieces: number, ms: number, from = 0): number {
  let now = from;
  for (let piece = 0; piece < pieces; piece += 1) {
    const end = readAhead.taken + 65_536;
    readAhead.sent(end, now);
    now += ms;
    readAhead.took(end, now);
  }
  return now;
}

test('a client that reads fast gets a larger window, up to a bound', () => {
  const readAhead = new ReadAhead(1000);
  expect(readAhead.limit - readAhead.taken).toBe(readAhead.windowBytes);
  pass(readAhead, 20, 2);
  expect(readAhead.windowBytes).toBe(MAX_WINDOW_BYTES);
  expect(readAhead.taken).toBe(1000 + 20 * 65_536);
});

test('bytes that take long to the client make the window small, and it grows again when they do not', () => {
  const readAhead = new ReadAhead(0);
  const now = pass(readAhead, 1, 5);
  const before = readAhead.windowBytes;
  const later = pass(readAhead, 10, 400, now);
  expect(readAhead.windowBytes).toBeLessThan(before / 4);
  pass(readAhead, 10, 10, later);
  expect(readAhead.windowBytes).toBe(MAX_WINDOW_BYTES);
});

test('a client that is far away is not taken for one that reads slowly', () => {
  const readAhead = new ReadAhead(0);
  pass(readAhead, 10, 300);
  expect(readAhead.windowBytes).toBe(MAX_WINDOW_BYTES);
});

test('an acknowledgement of bytes that were acknowledged before changes nothing', () => {
  const readAhead = new ReadAhead(500);
  expect(readAhead.took(500, 1)).toBe(false);
  expect(readAhead.took(400, 1)).toBe(false);
  expect(readAhead.taken).toBe(500);
});
