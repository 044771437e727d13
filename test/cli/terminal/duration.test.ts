import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../../src/cli/terminal/duration.ts';

describe('durations', () => {
  test.each([
    ['30', 30_000],
    ['0.5', 500],
    ['30s', 30_000],
    ['500ms', 500],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', 's', '30x', '-1s', '1 s', '1e3'])('%j is none', (text) => {
    expect(() => parseDuration(text)).toThrow('Write it as');
  });
});
