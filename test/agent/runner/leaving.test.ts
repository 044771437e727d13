import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { processesWith, until } from '../../helpers/processes.ts';
import { agentDirectory, attach, launchRunner, linkedRunner, MAIN, startRunner } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const sh = (script: string) => ['/bin/sh', '-c', script];

test('stop ends everything: no new work, ends reported and acknowledged, then it leaves', async () => {
  const { link, runner, directory } = await linkedRunner();
  link.start('polite', ['/bin/sleep', '60']);
  link.start('stubborn', sh('trap "" TERM; echo ready; while :; do sleep 0.05; done'));
  await link.started('polite');
  await link.printed('stubborn', 'ready');
  link.send({ type: 'stop', grace_ms: 200 });
  link.start('late', ['/bin/true']);
  expect(await link.frame('capacity')).toEqual({ type: 'capacity', accepting: false, reason: 'stopping' });
  expect((await link.ended('polite')).ended).toMatchObject({
    status: 'failed',
    error_code: 'agent_stopped',
    signal: 15,
  });
  expect((await link.ended('stubborn')).ended).toMatchObject({ error_code: 'agent_stopped', signal: 9 });
  await link.frame('stopped');
  expect(await runner.exited).toEqual({ code: 0, signal: null });
  expect(link.records.has('late')).toBe(false);
  expect(existsSync(join(directory, 'runner.sock'))).toBe(false);
  expect(readdirSync(join(directory, 'journal'))).toEqual([]);
});

test('SIGTERM to the runner is a stop, also without a link; the ends are there for the next one', async () => {
  const { link, runner, directory } = await linkedRunner();
  link.start('a', ['/bin/sleep', '60']);
  await link.started('a');
  await link.close();
  expect(await runner.end('SIGTERM')).toEqual({ code: 0, signal: null });
  await startRunner(directory);
  const next = await attach(directory);
  expect((await next.ended('a')).ended).toMatchObject({ error_code: 'agent_stopped', signal: 15 });
});

test('after a clean leave the next runner is the same instance and knows what had been taken on, once', async () => {
  const { link, runner, directory } = await linkedRunner();
  link.start('a', ['/bin/true'], { dispatch_number: 41 });
  await link.ended('a');
  const instance = link.state?.runner_instance;
  await link.close();
  await runner.end('SIGTERM');
  const second = await startRunner(directory);
  const next = await attach(directory);
  expect(next.state).toMatchObject({ runner_instance: instance, last_dispatch_number: 41 });
  await second.end('SIGKILL');
  await startRunner(directory);
  const third = await attach(directory);
  expect(third.state?.runner_instance).not.toBe(instance);
});

test('without a link and without commands it leaves by itself', async () => {
  const directory = agentDirectory();
  const runner = await startRunner(directory, MAIN, ['--idle-ms', '100']);
  expect(await runner.exited).toEqual({ code: 0, signal: null });
});

test('it does not leave while a command runs', async () => {
  const directory = agentDirectory();
  const runner = await startRunner(directory, MAIN, ['--idle-ms', '500']);
  const link = await attach(directory);
  link.start('a', ['/bin/sleep', '1.2']);
  await link.started('a');
  await link.close();
  expect(await runner.exited).toEqual({ code: 0, signal: null });
  await startRunner(directory);
  const next = await attach(directory);
  expect((await next.ended('a')).ended.status).toBe('succeeded');
});

test('two runners started at once on a directory leave one, and a dead one is no obstacle', async () => {
  const directory = agentDirectory();
  for (let round = 0; round < 2; round++) {
    const runners = [1, 2, 3].map(() => launchRunner(directory));
    await until('two have left', () => runners.filter(({ running }) => !running).length === 2);
    const left = runners.filter(({ running }) => running);
    expect(left).toHaveLength(1);
    const link = await attach(directory);
    expect((await link.run(`a${round}`, ['/bin/true'])).ended.status).toBe('succeeded');
    await link.close();
    await Promise.all(runners.map((runner) => runner.end('SIGKILL')));
  }
});

test('a directory whose path is longer than a socket address holds', async () => {
  const directory = join(agentDirectory(), 'x'.repeat(120));
  mkdirSync(directory);
  await startRunner(directory);
  const link = await attach(directory);
  expect((await link.run('a', ['/bin/true'])).ended.status).toBe('succeeded');
  expect(statSync(join(directory, 'runner.sock')).mode & 0o777).toBe(0o600);
});

test.runIf(process.platform === 'linux')(
  'when the spawner dies its commands are killed and lost, and the next one is started',
  async () => {
    const { link, runner } = await linkedRunner();
    link.start('sp-1', sh('setsid sleep 60 & echo ready; sleep 60'));
    await link.printed('sp-1', 'ready');
    const spawner = processesWith('execplane-spawner').find((pid) => parentOf(pid) === runner.pid);
    if (spawner === undefined) throw new Error('no native spawner');
    process.kill(spawner, 'SIGKILL');
    const { ended, stdout } = await link.ended('sp-1');
    expect(ended).toMatchObject({ status: 'failed', error_code: 'agent_lost', stdout_bytes: stdout.length });
    expect(processesWith('EXECUTION_ID=sp-1')).toEqual([]);
    expect((await link.run('sp-2', ['/bin/true'])).ended.status).toBe('succeeded');
  },
);

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
