import { describe, expect, test } from 'vitest';
import { commandText, quoted, shellText } from '../../../src/console/data/command.ts';

describe('commands', () => {
  test('are quoted for a shell', () => {
    expect(shellText(['echo', 'a b', "it's", '', '$HOME'])).toBe(`echo 'a b' 'it'\\''s' '' '$HOME'`);
    expect(quoted('plain-1.2/x')).toBe('plain-1.2/x');
  });

  test('are shown as a shell line if a shell runs them', () => {
    expect(commandText(['/bin/sh', '-c', 'a | b'])).toBe('a | b');
    expect(commandText(['/bin/sh', '-c', 'a', 'b'])).toBe('/bin/sh -c a b');
  });
});
