import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive, until } from '../../../helpers/processes.ts';
import { FIXTURES, KINDS, SpawnerHarness } from './spawner-harness.ts';

const { SIGTERM, SIGKILL, SIGSEGV } = constants.signals;

describe.each(KINDS)('the end of a command, %s', (kind) => {
  let harness: SpawnerHarness;
  beforeAll(async () => {
    harness = await SpawnerHarness.open(kind);
  });
  afterAll(() => harness.close());
  const nothing = { stdoutBytes: 0, stderrBytes: 0 };

  test('has its exit code', async () => {
    expect((await harness.run(['true'])).end).toEqual({ exitCode: 0, ...nothing });
    expect((await harness.run(['sh', '-c', 'exit 255'])).end).toEqual({ exitCode: 255, ...nothing });
  });

  test('has the signal that ended it, also with a core dump', async () => {
    expect((await harness.run(['sh', '-c', 'kill -9 $$'])).end).toEqual({ signal: SIGKILL, ...nothing });
    expect((await harness.run(['sh', '-c', 'ulimit -c unlimited; kill -SEGV $$'])).end).toEqual({
      signal: SIGSEGV,
      ...nothing,
    });
  });

  test.skipIf(kind === 'node')('has a real-time signal', async () => {
    expect((await harness.run(['sh', '-c', 'kill -40 $$'])).end).toEqual({ signal: 40, ...nothing });
  });

  test.skipIf(kind === 'node')('tells whether no process is left, not even one that has left its parent', async () => {
    expect((await harness.run(['true'])).leftNothing).toBe(true);
    const parent = await harness.run(['sh', '-c', 'setsid sleep 60 > /dev/null 2>&1 & echo $!']);
    expect(parent.leftNothing).toBe(false);
    process.kill(Number(parent.out), SIGKILL);
    await until('the background process is reaped', () => !existsSync(`/proc/${parent.out.trim()}`));
    const sleeper = ['sh', '-c', 'echo up; exec sleep 60'];
    const [first, second] = [harness.start(sleeper), harness.start(sleeper)];
    for (const command of [first, second]) await command.when(() => command.out === 'up\n');
    for (const command of [first, second]) {
      await harness.spawner.killTree(command.handle);
      await command.over.promise;
    }
    expect([first.leftNothing, second.leftNothing]).toEqual([false, true]);
  });

  test('a signal reaches the whole process group', async () => {
    const command = harness.start([
      'sh',
      '-c',
      'trap : TERM; (trap "echo child; exit" TERM; echo up; while :; do sleep 0.05; done) & wait; wait',
    ]);
    await command.when(() => command.out === 'up\n');
    expect(harness.spawner.signal(command.handle, SIGTERM)).toBe(true);
    await command.over.promise;
    expect(command.out).toBe('up\nchild\n');
  });

  test('a signal sent before the start is decided is not lost', async () => {
    const command = harness.start(['sleep', '60']);
    if (kind === 'node') await command.started.promise;
    expect(harness.spawner.signal(command.handle, SIGTERM)).toBe(true);
    await command.over.promise;
    expect(command.end).toEqual({ signal: SIGTERM, ...nothing });
  });

  test('a process that has exited is not signalled, even before its end was reported', async () => {
    const command = harness.start(['sh', '-c', 'echo full']);
    harness.spawner.pause(command.handle);
    await command.started.promise;
    await until('it has exited', () => !isAlive(command.pid));
    expect(harness.spawner.signal(command.handle, SIGTERM)).toBe(false);
    harness.spawner.resume(command.handle);
    await command.over.promise;
    expect(command.end).toMatchObject({ exitCode: 0 });
    expect(harness.spawner.signal(command.handle, SIGTERM)).toBe(false);
  });

  test('a background child that holds the pipes neither delays the end nor gets SIGPIPE', async () => {
    const command = await harness.run([`${FIXTURES}/background-writer.sh`, harness.scratchDir]);
    expect(command.end).toMatchObject({ exitCode: 0 });
    const pid = Number(command.out);
    expect(isAlive(pid)).toBe(true);
    harness.spawner.release(command.handle);
    // The process writes 1 MB to each stream when the file `go` appears, and reports the result.
    await harness.run(['touch', `${harness.scratchDir}/go`]);
    const verdict = await harness.run([
      'sh',
      '-c',
      `until cat ${harness.scratchDir}/verdict 2>/dev/null; do sleep 0.02; done`,
    ]);
    expect(verdict.out).toBe('written 0 0\n');
  });

  test('a grandchild that floods the pipe does not delay the end', async () => {
    const command = await harness.run(['sh', '-c', 'yes & echo $!; sleep 0.1'], { keepBytes: 1e9 });
    expect(command.end).toMatchObject({ exitCode: 0 });
    expect(await harness.spawner.treeAlive(command.handle)).toBe(true);
    await harness.spawner.killTree(command.handle);
    expect(await harness.spawner.treeAlive(command.handle)).toBe(false);
  });
});
