import { expect, test } from 'vitest';
import { spawnEnding } from '../../../../src/agent/runner/executions/outcome.ts';

test.each([
  ['EMFILE', 'nofile'],
  ['ENFILE', 'fs.file-max'],
])('a start that finds no free descriptor (%s) says which limit to raise', (errno, limit) => {
  const ending = spawnEnding('fork', errno, { command: '/bin/true', cwd: '/' });
  expect(ending).toMatchObject({ status: 'failed', error_code: 'spawn_failed' });
  expect(JSON.stringify(ending)).toContain(limit);
});

test('a start that finds no free pseudo-terminal names them, and not a full disk', () => {
  const tried = { command: '/bin/bash', cwd: '/' };
  const onTerminal = spawnEnding('fork', 'ENOSPC', { ...tried, onTerminal: true });
  expect(onTerminal).toMatchObject({ status: 'failed', error_message: expect.stringContaining('kernel.pty.max') });
  expect(spawnEnding('fork', 'ENOSPC', tried).error_message).not.toContain('terminal');
});
