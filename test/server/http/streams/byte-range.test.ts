/** Range headers for a stream of 10 bytes. */
import { expect, test } from 'vitest';
import { readRange } from '../../../../src/server/http/streams/byte-range.ts';

test.each([
  [undefined, 'whole'],
  ['bytes=0-4', { start: 0, end: 5 }],
  ['bytes=9-', { start: 9, end: 10 }],
  ['bytes=5-99', { start: 5, end: 10 }],
  ['bytes=0-99999999999999999999', { start: 0, end: 10 }],
  ['bytes=-3', { start: 7, end: 10 }],
  ['bytes=-30', { start: 0, end: 10 }],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=99999999999999999999-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=0-1,4-5', 'whole'],
  ['bytes=5-2', 'whole'],
  ['bytes=a-b', 'whole'],
  ['bytes=-', 'whole'],
  ['bytes=', 'whole'],
  ['items=0-1', 'whole'],
] as const)('%s: %j', (header, expected) => {
  expect(readRange(header, 10)).toEqual(expected);
});

test.each(['bytes=0-', 'bytes=-5'])('%s of an empty stream cannot be satisfied', (header) => {
  expect(readRange(header, 0)).toBe('unsatisfiable');
});
