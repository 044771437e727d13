/** After a cleaner of temporary files has removed the runner's socket, the runner is found by its pid file and listens again. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attachPatiently } from '../../../src/agent/processes/runner-process.ts';
import { stopAgent } from '../../../src/agent/processes/stop.ts';
import { linkedRunner } from '../../helpers/runner-process.ts';

test.each<[string, (path: string) => void]>([
  ['is gone', () => {}],
  ['is replaced by a file', (path) => writeFileSync(path, 'x')],
  ['is replaced by a directory with a file', (path) => mkdirSync(join(path, 'in'), { recursive: true })],
  ['is replaced by a link to itself', (path) => symlinkSync(path, path)],
  ['is replaced by a FIFO', (path) => execFileSync('mkfifo', [path])],
])('the next link attaches while the command keeps running, after its socket %s', async (_what, make) => {
  const { directory, runner, link } = await linkedRunner();
  link.start('kept', ['cat'], { stdin: 'open' });
  const pid = await link.started('kept');
  rmSync(join(directory, 'runner.sock'));
  make(join(directory, 'runner.sock'));
  await expect(attachPatiently({ dir: directory, maxConcurrency: 1 })).rejects.toThrow('another link is attached');
  expect(existsSync(join(directory, 'runner.sock'))).toBe(true);
  await link.close();
  const next = await attachPatiently({ dir: directory, maxConcurrency: 1 });
  expect(next?.pid).toBe(runner.pid);
  expect(process.kill(pid, 0)).toBe(true);
  next?.detach();
});

test('"agent stop" ends the runner, and the command with it', async () => {
  const { directory, runner, link } = await linkedRunner();
  link.start('ended', ['sleep', '600']);
  const pid = await link.started('ended');
  await link.close();
  rmSync(join(directory, 'runner.sock'));
  expect(await stopAgent(directory)).toBe('stopped');
  await runner.exited;
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  expect(await stopAgent(directory)).toBe('nothing_runs');
});
