import { constants } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive, until } from '../../../helpers/processes.ts';
import { FIXTURES, KINDS, Stage } from './stage.ts';

const { SIGTERM, SIGKILL, SIGSEGV } = constants.signals;

describe.each(KINDS)('the end of a command, %s', (kind) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(kind);
  });
  afterAll(() => stage.close());
  const nothing = { stdoutBytes: 0, stderrBytes: 0 };

  test('its exit code', async () => {
    expect((await stage.run(['true'])).end).toEqual({ exitCode: 0, ...nothing });
    expect((await stage.run(['sh', '-c', 'exit 255'])).end).toEqual({ exitCode: 255, ...nothing });
  });

  test('the signal that ended it, also with a core dump', async () => {
    expect((await stage.run(['sh', '-c', 'kill -9 $$'])).end).toEqual({ signal: SIGKILL, ...nothing });
    expect((await stage.run(['sh', '-c', 'ulimit -c unlimited; kill -SEGV $$'])).end).toEqual({
      signal: SIGSEGV,
      ...nothing,
    });
  });

  test.skipIf(kind === 'node')('a real-time signal', async () => {
    expect((await stage.run(['sh', '-c', 'kill -40 $$'])).end).toEqual({ signal: 40, ...nothing });
  });

  test('a signal reaches the whole process group', async () => {
    const act = stage.start([
      'sh',
      '-c',
      'trap : TERM; (trap "echo child; exit" TERM; echo up; while :; do sleep 0.05; done) & wait; wait',
    ]);
    await act.when(() => act.out === 'up\n');
    expect(stage.spawner.signal(act.handle, SIGTERM)).toBe(true);
    await act.over.promise;
    expect(act.out).toBe('up\nchild\n');
  });

  test('a signal sent before the start is decided is not lost', async () => {
    const act = stage.start(['sleep', '60']);
    if (kind === 'node') await act.started.promise;
    expect(stage.spawner.signal(act.handle, SIGTERM)).toBe(true);
    await act.over.promise;
    expect(act.end).toEqual({ signal: SIGTERM, ...nothing });
  });

  test('a process that has exited is not signalled, even before its end was told', async () => {
    const act = stage.start(['sh', '-c', 'echo full']);
    stage.spawner.pause(act.handle);
    await act.started.promise;
    await until('it has exited', () => !isAlive(act.pid));
    expect(stage.spawner.signal(act.handle, SIGTERM)).toBe(false);
    stage.spawner.resume(act.handle);
    await act.over.promise;
    expect(act.end).toMatchObject({ exitCode: 0 });
    expect(stage.spawner.signal(act.handle, SIGTERM)).toBe(false);
  });

  test('a background child that holds the pipes neither delays the end nor gets SIGPIPE', async () => {
    const act = await stage.run([`${FIXTURES}/background-writer.sh`, stage.scratchDir]);
    expect(act.end).toMatchObject({ exitCode: 0 });
    const pid = Number(act.out);
    expect(isAlive(pid)).toBe(true);
    stage.spawner.release(act.handle);
    // It writes 1 MB to each stream once it is told to, and says what became of that.
    await stage.run(['touch', `${stage.scratchDir}/go`]);
    const verdict = await stage.run([
      'sh',
      '-c',
      `until cat ${stage.scratchDir}/verdict 2>/dev/null; do sleep 0.02; done`,
    ]);
    expect(verdict.out).toBe('written 0 0\n');
  });

  test('a grandchild that floods the pipe does not delay the end', async () => {
    const act = await stage.run(['sh', '-c', 'yes & echo $!; sleep 0.1'], { keepBytes: 1e9 });
    expect(act.end).toMatchObject({ exitCode: 0 });
    expect(await stage.spawner.treeAlive(act.handle)).toBe(true);
    await stage.spawner.killTree(act.handle);
    expect(await stage.spawner.treeAlive(act.handle)).toBe(false);
  });
});
