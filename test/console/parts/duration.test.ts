import { describe, expect, test } from 'vitest';
import { ageText, bytesText, durationText } from '../../../src/console/parts/duration.ts';

describe('times and sizes', () => {
  test('spans have units', () => {
    expect([3, 1500, 59_000, 80_000, 3_600_000, 90_000_000].map(durationText)).toEqual([
      '3 ms',
      '1.5 s',
      '59 s',
      '1 m 20 s',
      '1 h',
      '1 d 1 h',
    ]);
  });

  test('ages have units', () => {
    expect([0, 5000, 3_700_000, -120_000].map(ageText)).toEqual(['now', '5 s ago', '1 h ago', 'in 2 m']);
  });

  test('sizes have units', () => {
    expect([0, 1023, 1536, 104_857_600].map(bytesText)).toEqual(['0 B', '1023 B', '1.5 KiB', '100 MiB']);
  });
});
