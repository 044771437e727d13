import { expect, test } from 'vitest';
import { waitWords } from '../../../src/cli/terminal/execution-words.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
const BUSY = 'queued: all 64 slots of the machine are busy; position 3';
const NEXT = 'It starts when a command before it ends.';

test.each([
  ['2026-03-01T11:59:58.000Z', `${BUSY}. ${NEXT}`],
  ['2026-03-01T11:56:00.000Z', `${BUSY} (for 4m). ${NEXT}`],
])(
  'an execution that waits since %s says why, since when if that was earlier, and what ends the wait',
  (since, words) => {
    expect(waitWords({ message: BUSY, since, next: NEXT }, NOW)).toBe(words);
  },
);

test('an unknown end of the wait is not mentioned', () => {
  expect(waitWords({ message: BUSY, since: '2026-03-01T11:59:59.000Z' }, NOW)).toBe(`${BUSY}.`);
});
