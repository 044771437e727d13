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
