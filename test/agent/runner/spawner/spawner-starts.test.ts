import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS, SpawnerHarness } from './spawner-harness.ts';

describe.each(KINDS)('starting a command, %s', (kind) => {
  let harness: SpawnerHarness;
  beforeAll(async () => {
    harness = await SpawnerHarness.open(kind);
  });
  afterAll(() => harness.close());

  const file = (name: string, text: string, mode = 0o755): string => {
    const path = join(harness.scratchDir, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const failure = async (argv: string[], options = {}) => (await harness.run(argv, options)).failure;

  test('argv reaches the program unchanged, argv[0] included', async () => {
    const command = await harness.run(['sh', '-c', 'printf "%s|" "$0" "$@"', 'zero', '', 'a b', '*', "'", 'ä\n']);
    expect(command.out).toBe("zero||a b|*|'|ä\n|");
    expect((await harness.run(['sh', '-c', "tr '\\0' '|' < /proc/$$/cmdline"])).out).toMatch(/^sh\|/);
  });

  test('the environment is exactly the requested one', async () => {
    const command = await harness.run(['env'], { env: { A: 'x=y', EMPTY: '', ODD: 'line\nbreak' } });
    expect(command.out.split('\n').sort()).toEqual(
      [
        '',
        'A=x=y',
        'EMPTY=',
        `EXECUTION_ID=${command.executionId}`,
        'ODD=line',
        'PATH=/usr/local/bin:/usr/bin:/bin',
        'break',
      ].sort(),
    );
  });

  test('the command runs in the requested directory, as the leader of its own session', async () => {
    const command = await harness.run(['sh', '-c', 'pwd; umask; cut -d" " -f5,6 /proc/self/stat; echo $$'], {
      cwd: '/usr',
    });
    const pid = String(command.pid);
    expect(command.out.split('\n')).toEqual(['/usr', '0022', `${pid} ${pid}`, pid, '']);
  });

  test('no signal is blocked or ignored', async () => {
    const command = await harness.run(['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status']);
    expect(command.out).toBe('SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n');
  });

  // Node passes on the descriptors that its process has inherited without close-on-exec.
  test.skipIf(kind === 'node')('only the three streams are open', async () => {
    expect((await harness.run(['ls', '/proc/self/fd'])).out).toBe('0\n1\n2\n3\n');
  });

  test('the command is looked up in its own PATH', async () => {
    mkdirSync(join(harness.scratchDir, 'bin'));
    file('bin/greet', '#!/bin/sh\necho hello\n');
    const PATH = `/nonexistent:${harness.scratchDir}/bin`;
    expect((await harness.run(['greet'], { env: { PATH } })).out).toBe('hello\n');
    expect((await harness.run(['greet'], { env: { PATH: '' }, cwd: join(harness.scratchDir, 'bin') })).out).toBe(
      'hello\n',
    );
    expect((await harness.run(['bin/greet'], { env: { PATH: '' } })).out).toBe('hello\n');
    expect(await failure(['greet'])).toEqual({ stage: 'exec', errno: 'ENOENT' });
  });

  test('a refusal in the PATH is remembered, and does not hide a later program', async () => {
    mkdirSync(join(harness.scratchDir, 'locked'));
    file('locked/uname', '#!/bin/sh\n', 0o644);
    file('locked/onlyhere', '#!/bin/sh\n', 0o644);
    const PATH = `${harness.scratchDir}/locked:/usr/bin:/bin`;
    expect((await harness.run(['uname'], { env: { PATH } })).end).toMatchObject({ exitCode: 0 });
    expect(await failure(['onlyhere'], { env: { PATH } })).toEqual({ stage: 'exec', errno: 'EACCES' });
  });

  test('a file that is missing, a directory, not executable, or without a name is refused', async () => {
    expect(await failure(['/nonexistent/program'])).toEqual({ stage: 'exec', errno: 'ENOENT' });
    expect(await failure(['no-such-program'])).toEqual({ stage: 'exec', errno: 'ENOENT' });
    expect(await failure(['/etc'])).toEqual({ stage: 'exec', errno: 'EACCES' });
    expect(await failure([file('plain', '#!/bin/sh\n', 0o644)])).toEqual({ stage: 'exec', errno: 'EACCES' });
    expect(await failure(['/etc/passwd/x'])).toEqual({ stage: 'exec', errno: 'ENOTDIR' });
  });

  test('a text file without #! is not run by a shell', async () => {
    expect(await failure([file('script', 'touch was-run\n')])).toEqual({ stage: 'exec', errno: 'ENOEXEC' });
    expect(await failure([file('empty', '')])).toEqual({ stage: 'exec', errno: 'ENOEXEC' });
  });

  test('an interpreter that does not exist is reported', async () => {
    expect(await failure([file('bad', '#!/nonexistent/interpreter\n')])).toEqual({
      stage: 'interpreter',
      errno: 'ENOENT',
    });
  });

  test('a working directory that is missing, or a file, is refused', async () => {
    expect(await failure(['true'], { cwd: '/nonexistent' })).toEqual({ stage: 'cwd', errno: 'ENOENT' });
    expect(await failure(['true'], { cwd: '/etc/passwd' })).toEqual({ stage: 'cwd', errno: 'ENOTDIR' });
  });

  test.each([
    ['one argument of 200 KB', ['true', 'x'.repeat(200_000)]],
    ['4 MB of arguments', ['true', ...Array.from({ length: 4000 }, () => 'x'.repeat(1000))]],
    ['12 MB of arguments', ['true', ...Array.from({ length: 12_000 }, () => 'x'.repeat(1000))]],
  ])('arguments that are too large fail with E2BIG: %s', async (_, argv) => {
    expect(await failure(argv)).toEqual({ stage: 'exec', errno: 'E2BIG' });
  });

  test('many commands start at once, each with its own result', async () => {
    const commands = await Promise.all(
      Array.from({ length: 60 }, (_, i) => harness.run(['sh', '-c', `echo ${i}; exit ${i}`])),
    );
    expect(commands.map((command) => [command.out, command.end?.exitCode])).toEqual(
      commands.map((_, i) => [`${i}\n`, i]),
    );
  });
});
