import { expect, test } from 'vitest';
import { durationOption } from '../../../src/cli/terminal/duration.ts';

test('an option that is not a duration is refused with examples', () => {
  expect(durationOption('1h30m')).toBe(5_400_000);
  expect(() => durationOption('soon')).toThrow('Write it as 30s, 5m, 1h30m or 500ms.');
});
