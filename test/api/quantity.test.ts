import { expect, test } from 'vitest';
import { parseDuration, parseSize } from '../../src/api/quantity.ts';

test.each([
  ['30', 30_000],
  ['0.5', 500],
  ['90s', 90_000],
  ['500ms', 500],
  ['1h30m', 5_400_000],
  ['1h 30m', 5_400_000],
  ['1.5h', 5_400_000],
  [' 2d ', 172_800_000],
])('%j is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each(['', 's', '30x', '-1s', '1 s', '1e3', 'soon'])('%j is not a duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  ['1', 1],
  ['1048576', 1_048_576],
  ['4kb', 4096],
  ['512m', 536_870_912],
  ['2G', 2_147_483_648],
  ['1.5 GiB', 1_610_612_736],
])('%j is %d bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(['', '0', 'x', '1z', '-1', '1e3', '9000t0', '99999t'])('%j is not a size', (text) => {
  expect(parseSize(text)).toBeUndefined();
});
