import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { killMarked, killProcessTree } from '../../../../src/agent/runner/spawner/process-tree.ts';
import { isAlive, processIdentity } from '../../../../src/node/process-identity.ts';

const sleeper = (env: Record<string, string>) => {
  const child = spawn('sleep', ['600'], { env: { PATH: '/usr/bin:/bin', ...env }, stdio: 'ignore', detached: true });
  return { child, pid: child.pid ?? 0, exited: once(child, 'exit') };
};

test('a process is identified by its pid, start time and boot id', async () => {
  const { child, pid, exited } = sleeper({});
  const identity = processIdentity(pid);
  if (!identity) throw new Error('no identity');
  expect(isAlive(identity)).toBe(true);
  expect(isAlive({ ...identity, startTime: '1' })).toBe(false);
  expect(isAlive({ ...identity, bootId: 'another' })).toBe(false);
  child.kill('SIGKILL');
  await exited;
  expect(isAlive(identity)).toBe(false);
  expect(processIdentity(pid)).toBeUndefined();
});

test('killMarked ends processes with the marker, and the main process by its identity', async () => {
  const marked = sleeper({ EXECUTION_ID: `marked-${process.pid}` });
  const main = sleeper({});
  await killMarked(`marked-${process.pid}`, processIdentity(main.pid));
  expect(await Promise.all([marked.exited, main.exited])).toEqual([
    [null, 'SIGKILL'],
    [null, 'SIGKILL'],
  ]);
});

test('killMarked spares another process that has the pid of the main process', async () => {
  const stranger = sleeper({ EXECUTION_ID: `other-${process.pid}` });
  const identity = processIdentity(stranger.pid);
  if (!identity) throw new Error('no identity');
  await killMarked(`mine-${process.pid}`, { ...identity, startTime: '1' });
  await killMarked(`mine-${process.pid}`, { ...identity, bootId: 'another' });
  expect(isAlive(identity)).toBe(true);
  stranger.child.kill('SIGKILL');
  await stranger.exited;
});

/** A kill took up to 40 s when each new process restarted the search. */
const KILLED_WITHIN_MS = 10_000;

test('a kill completes although other processes fork all the time (P3)', async () => {
  const storms = [1, 2].map(() =>
    spawn('/bin/sh', ['-c', 'while :; do /bin/true; done'], { detached: true, stdio: 'ignore' }),
  );
  onTestFinished(async () => {
    const gone = storms.map((storm) => once(storm, 'exit'));
    for (const { pid = 0 } of storms) process.kill(-pid, 'SIGKILL');
    await Promise.all(gone);
  });
  for (let round = 0; round < 3; round += 1) {
    const executionId = `stormy-${process.pid}-${round}`;
    const main = sleeper({ EXECUTION_ID: executionId });
    const daemon = sleeper({ EXECUTION_ID: executionId });
    const before = performance.now();
    await killProcessTree({ executionId, main: processIdentity(main.pid), sessionIsOurs: true });
    expect(performance.now() - before).toBeLessThan(KILLED_WITHIN_MS);
    expect(await Promise.all([main.exited, daemon.exited])).toEqual([
      [null, 'SIGKILL'],
      [null, 'SIGKILL'],
    ]);
  }
});
