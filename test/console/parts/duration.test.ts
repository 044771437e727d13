import { describe, expect, test } from 'vitest';
import { ageText, bytesText, durationText, parseBytes, parseDuration } from '../../../src/console/parts/duration.ts';

describe('times and sizes', () => {
  test('spans', () => {
    expect([3, 1500, 59_000, 80_000, 3_600_000, 90_000_000].map(durationText)).toEqual([
      '3 ms',
      '1.5 s',
      '59 s',
      '1 m 20 s',
      '1 h',
      '1 d 1 h',
    ]);
  });

  test('ages', () => {
    expect([0, 5000, 3_700_000, -120_000].map(ageText)).toEqual(['now', '5 s ago', '1 h ago', 'in 2 m']);
  });

  test('sizes', () => {
    expect([0, 1023, 1536, 104_857_600].map(bytesText)).toEqual(['0 B', '1023 B', '1.5 KiB', '100 MiB']);
  });

  test('sizes as people type them', () => {
    expect(['512m', '2g', '1.5 GiB', '1048576', '4kb', '0', 'x', '1z', ''].map(parseBytes)).toEqual([
      536_870_912,
      2_147_483_648,
      1_610_612_736,
      1_048_576,
      4096,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('spans as people type them', () => {
    expect(['90', '90s', '1h30m', '250ms', ' 2d ', 'soon', '5x', ''].map(parseDuration)).toEqual([
      90_000,
      90_000,
      5_400_000,
      250,
      172_800_000,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
