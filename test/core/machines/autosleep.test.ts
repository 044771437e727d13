import { expect, test } from 'vitest';
import { parseAutosleep } from '../../../src/core/machines/autosleep.ts';

test.each([
  ['never', 0],
  ['0', 0],
  ['90', 90],
  ['7d3h4s', 7 * 86_400 + 3 * 3600 + 4],
  ['1w2d3h4m5s', 604_800 + 2 * 86_400 + 3 * 3600 + 4 * 60 + 5],
  ['30m', 1800],
])('%s is %i seconds', (text, seconds) => {
  expect(parseAutosleep(text)).toBe(seconds);
});

test.each(['', 'always', '-1', '1.5', '1h1h', '3s7d', '5 m', '1y', 'never1', '10000w', '9'.repeat(20)])(
  '"%s" is not a valid autosleep',
  (text) => {
    expect(parseAutosleep(text)).toBeUndefined();
  },
);
