/** After a cleaner of temporary files has removed the runner's socket, the runner is found by its pid file and listens again. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attachPatiently } from '../../../src/agent/processes/runner-process.ts';
import { stopAgent } from '../../../src/agent/processes/stop.ts';
import { linkedRunner } from '../../helpers/runner-process.ts';

test('the next link attaches while the command keeps running', async () => {
  const { directory, runner, link } = await linkedRunner();
  link.start('kept', ['cat'], { stdin: 'open' });
  const pid = await link.started('kept');
  rmSync(join(directory, 'runner.sock'));
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
