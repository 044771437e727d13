/** Input at a remote terminal: text, or an escape at the start of a line. */
import { expect, test } from 'vitest';
import { EscapeReader } from '../../../src/cli/terminal/escapes.ts';

/** Parses the strings of `typed`, each as one read. Returns the items with input as text. */
function read(...typed: string[]): string[] {
  const reader = new EscapeReader();
  return typed.flatMap((text) =>
    reader
      .read(Buffer.from(text))
      .map((item) => (typeof item === 'string' ? `<${item}>` : Buffer.from(item).toString())),
  );
}

test('an escape counts at the start of a line: the first one, or after either line end', () => {
  expect(read('~.')).toEqual(['<close>']);
  expect(read('ls\r~d')).toEqual(['ls\r', '<detach>']);
  expect(read('ls\n~?~.x')).toEqual(['ls\n', '<help>', '<close>', 'x']);
  expect(read('cd ~.\r')).toEqual(['cd ~.\r']);
});

test('two tildes send one, and are no longer the start of a line', () => {
  expect(read('~~.')).toEqual(['~.']);
  expect(read('~~~')).toEqual(['~~']);
});

test('a tilde is held until the next key', () => {
  expect(read('~', '/x\r', '~', '.')).toEqual(['~/x\r', '<close>']);
  expect(read('~', '\r~d')).toEqual(['~\r', '<detach>']);
});
