import { expect, test } from 'vitest';
import { shellWords } from '../../../src/cli/terminal/print.ts';

test('an argv is shown in shell syntax', () => {
  expect(shellWords(['sh', '-c', "echo 'a b'", ''])).toBe(`sh -c 'echo '\\''a b'\\''' ''`);
});
