/** Output of other machines must not control the terminal. */
import { describe, expect, test } from 'vitest';
import { printable, PrintableStream } from '../../../src/cli/streams/printable.ts';

describe('text of a table', () => {
  test.each([
    ['\u001b[2J', '\\u001b[2J'],
    ['a\nb\tc\r', 'a\\u000ab\\u0009c\\u000d'],
    ['\u009b2J', '\\u009b2J'],
    ['\u007f', '\\u007f'],
    ['abc\u202etxt.exe', 'abc\\u202etxt.exe'],
    ['\u2066x\u2069', '\\u2066x\\u2069'],
    ['naïve 日本 👍', 'naïve 日本 👍'],
  ])('%j is shown as %j', (text, shown) => expect(printable(text)).toBe(shown));
});

describe('output on a terminal', () => {
  function shown(...pieces: Uint8Array[]): string {
    const stream = new PrintableStream();
    return Buffer.concat(pieces.map((piece) => stream.push(piece))).toString();
  }

  test('keeps line breaks, tabs and the carriage return of a progress bar, and escapes control sequences', () => {
    expect(shown(Buffer.from('1 %\r2 %\r\n\tdone\n\u001b]0;title\u0007'))).toBe(
      '1 %\r2 %\r\n\tdone\n\\u001b]0;title\\u0007',
    );
  });

  test('keeps a character that is cut between two pieces, and escapes a cut C1 control', () => {
    const bytes = Buffer.from('日\u009b');
    for (let at = 0; at <= bytes.length; at += 1) {
      expect(shown(bytes.subarray(0, at), bytes.subarray(at))).toBe('日\\u009b');
    }
  });
});
