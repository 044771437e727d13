import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { processesWith, until } from '../../helpers/processes.ts';
import { agentDirectory, attach, launchRunner, linkedRunner, MAIN, startRunner } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const HELD = new URL('../../fixtures/held-runner.ts', import.meta.url).pathname;
/** A leaving runner kills itself, since a normal exit could hang. The tests check with the next runner that its state was complete. */
const LEFT = { code: null, signal: 'SIGKILL' };

const sh = (script: string) => ['/bin/sh', '-c', script];

test('stop refuses new work, reports all ends, waits for their acknowledgement, then exits', async () => {
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
  expect(await runner.exited).toEqual(LEFT);
  expect(link.records.has('late')).toBe(false);
  expect(existsSync(join(directory, 'runner.sock'))).toBe(false);
  expect(readdirSync(join(directory, 'journal'))).toEqual([]);
});

test('SIGTERM stops the runner, also without a link; the next one delivers the ends', async () => {
  const { link, runner, directory } = await linkedRunner();
  link.start('a', ['/bin/sleep', '60']);
  await link.started('a');
  await link.close();
  expect(await runner.end('SIGTERM')).toEqual(LEFT);
  await startRunner(directory);
  const next = await attach(directory);
  expect((await next.ended('a')).ended).toMatchObject({ error_code: 'agent_stopped', signal: 15 });
});

test('after a clean exit the next runner is the same instance and knows which starts were accepted', async () => {
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

test('a runner exits although a thread is stuck, so that it does not block its directory', async () => {
  const directory = agentDirectory();
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  const runner = await startRunner(directory, HELD);
  const link = await attach(directory);
  link.start('a', ['/bin/true'], { dispatch_number: 7 });
  await link.ended('a');
  const instance = link.state?.runner_instance;
  link.send({ type: 'stop', grace_ms: 200 });
  await link.frame('stopped');
  expect(await runner.exited).toEqual(LEFT);
  await startRunner(directory);
  const next = await attach(directory);
  expect(next.state).toMatchObject({ runner_instance: instance, last_dispatch_number: 7 });
});

test('a runner exits although its link does not read and its spawner does not answer', async () => {
  const { link, runner, directory } = await linkedRunner();
  const instance = link.state?.runner_instance;
  link.pauseReading();
  link.start('flood', ['/usr/bin/head', '-c', '4000000', '/dev/zero']);
  await until('the flood is in the journal', () => journalBytes(directory) > 4_000_000);
  link.send({ type: 'unlinked' }); // many reports are in flight; the runner does not wait for acknowledgements
  const spawner = spawnerOf(runner.pid);
  process.kill(spawner, 'SIGSTOP');
  try {
    expect(await runner.end('SIGTERM')).toEqual(LEFT);
  } finally {
    process.kill(spawner, 'SIGCONT');
  }
  await startRunner(directory);
  const next = await attach(directory);
  expect(next.state?.runner_instance).toBe(instance);
  expect((await next.ended('flood')).ended).toMatchObject({ status: 'succeeded', stdout_bytes: 4_000_000 });
});

test('a runner without a link and without commands exits by itself', async () => {
  const directory = agentDirectory();
  const runner = await startRunner(directory, MAIN, ['--idle-ms', '100']);
  expect(await runner.exited).toEqual(LEFT);
});

test('a runner does not exit while a command runs', async () => {
  const directory = agentDirectory();
  const runner = await startRunner(directory, MAIN, ['--idle-ms', '500']);
  const link = await attach(directory);
  link.start('a', ['/bin/sleep', '1.2']);
  await link.started('a');
  await link.close();
  expect(await runner.exited).toEqual(LEFT);
  await startRunner(directory);
  const next = await attach(directory);
  expect((await next.ended('a')).ended.status).toBe('succeeded');
});

test('one of several runners started at once on a directory stays, and a dead one is no obstacle', async () => {
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

test('a directory may have a path that is longer than a socket address', async () => {
  const directory = join(agentDirectory(), 'x'.repeat(120));
  mkdirSync(directory);
  await startRunner(directory);
  const link = await attach(directory);
  expect((await link.run('a', ['/bin/true'])).ended.status).toBe('succeeded');
  expect(statSync(join(directory, 'runner.sock')).mode & 0o777).toBe(0o600);
});

test.runIf(process.platform === 'linux')(
  'if the spawner dies, its commands are killed and lost, and a new spawner is started',
  async () => {
    const { link, runner } = await linkedRunner();
    link.start('sp-1', sh('setsid sleep 60 & echo ready; sleep 60'));
    await link.printed('sp-1', 'ready');
    process.kill(spawnerOf(runner.pid), 'SIGKILL');
    const { ended, stdout } = await link.ended('sp-1');
    expect(ended).toMatchObject({ status: 'failed', error_code: 'agent_lost', stdout_bytes: stdout.length });
    expect(processesWith('EXECUTION_ID=sp-1')).toEqual([]);
    expect((await link.run('sp-2', ['/bin/true'])).ended.status).toBe('succeeded');
  },
);

function journalBytes(directory: string): number {
  const journal = join(directory, 'journal');
  return readdirSync(journal).reduce((sum, name) => sum + statSync(join(journal, name)).size, 0);
}

function spawnerOf(runnerPid: number): number {
  const spawner = processesWith('execplane-spawner').find((pid) => parentOf(pid) === runnerPid);
  if (spawner === undefined) throw new Error('no native spawner');
  return spawner;
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
