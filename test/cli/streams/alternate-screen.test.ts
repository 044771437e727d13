import { expect, test } from 'vitest';
import { AlternateScreen, onLastLine } from '../../../src/cli/streams/alternate-screen.ts';

function shownAfter(...pieces: string[]): boolean {
  const screen = new AlternateScreen();
  for (const piece of pieces) screen.read(Buffer.from(piece));
  return screen.isShown;
}

test('is shown from the sequence of a full-screen program until it ends', () => {
  expect(shownAfter('$ vim\r\n')).toBe(false);
  expect(shownAfter('$ vim\r\n\u001b[?1049h\u001b[1;30r~')).toBe(true);
  expect(shownAfter('\u001b[?1049h~', '\u001b[?1049l$ ')).toBe(false);
  expect(shownAfter('\u001b[?47h', 'text')).toBe(true);
});

test('is noticed wherever the output is split', () => {
  const text = 'a\u001b[?1049hb';
  for (let at = 0; at <= text.length; at += 1) expect(shownAfter(text.slice(0, at), text.slice(at))).toBe(true);
  expect(shownAfter(...text)).toBe(true);
});

test('a message on it takes one line, whatever its length', () => {
  expect(onLastLine('one\ntwo three', { width: 9, height: 30 })).toBe(
    '\u001b7\u001b[30;1H\u001b[0;7mone two \u001b[0m\u001b8',
  );
});
