import { expect, test } from 'vitest';
import { shellWords } from '../../../src/cli/terminal/print.ts';

test('an argv is shown as a shell would take it', () => {
  expect(shellWords(['sh', '-c', "echo 'a b'", ''])).toBe(`sh -c 'echo '\\''a b'\\''' ''`);
});
