import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS, Stage } from './stage.ts';

describe.each(KINDS)('starting a command, %s', (kind) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(kind);
  });
  afterAll(() => stage.close());

  const file = (name: string, text: string, mode = 0o755): string => {
    const path = join(stage.scratchDir, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const failure = async (argv: string[], options = {}) => (await stage.run(argv, options)).failure;

  test('argv reaches the program as it is, argv[0] included', async () => {
    const act = await stage.run(['sh', '-c', 'printf "%s|" "$0" "$@"', 'zero', '', 'a b', '*', "'", 'ä\n']);
    expect(act.out).toBe("zero||a b|*|'|ä\n|");
    expect((await stage.run(['sh', '-c', "tr '\\0' '|' < /proc/$$/cmdline"])).out).toMatch(/^sh\|/);
  });

  test('the environment is exactly what was asked for', async () => {
    const act = await stage.run(['env'], { env: { A: 'x=y', EMPTY: '', ODD: 'line\nbreak' } });
    expect(act.out.split('\n').sort()).toEqual(
      [
        '',
        'A=x=y',
        'EMPTY=',
        `EXECUTION_ID=${act.executionId}`,
        'ODD=line',
        'PATH=/usr/local/bin:/usr/bin:/bin',
        'break',
      ].sort(),
    );
  });

  test('it runs where it should, as the leader of a session of its own', async () => {
    const act = await stage.run(['sh', '-c', 'pwd; umask; cut -d" " -f5,6 /proc/self/stat; echo $$'], { cwd: '/usr' });
    const pid = String(act.pid);
    expect(act.out.split('\n')).toEqual(['/usr', '0022', `${pid} ${pid}`, pid, '']);
  });

  test('no signal is blocked or ignored', async () => {
    const act = await stage.run(['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status']);
    expect(act.out).toBe('SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n');
  });

  // Node hands down what its process has inherited without close-on-exec.
  test.skipIf(kind === 'node')('nothing but the three streams is open', async () => {
    expect((await stage.run(['ls', '/proc/self/fd'])).out).toBe('0\n1\n2\n3\n');
  });

  test('the command is looked up in its own PATH', async () => {
    mkdirSync(join(stage.scratchDir, 'bin'));
    file('bin/greet', '#!/bin/sh\necho hello\n');
    const PATH = `/nonexistent:${stage.scratchDir}/bin`;
    expect((await stage.run(['greet'], { env: { PATH } })).out).toBe('hello\n');
    expect((await stage.run(['greet'], { env: { PATH: '' }, cwd: join(stage.scratchDir, 'bin') })).out).toBe('hello\n');
    expect((await stage.run(['bin/greet'], { env: { PATH: '' } })).out).toBe('hello\n');
    expect(await failure(['greet'])).toEqual({ stage: 'exec', errno: 'ENOENT' });
  });

  test('a refusal in the PATH is remembered, and does not hide a program further on', async () => {
    mkdirSync(join(stage.scratchDir, 'locked'));
    file('locked/uname', '#!/bin/sh\n', 0o644);
    file('locked/onlyhere', '#!/bin/sh\n', 0o644);
    const PATH = `${stage.scratchDir}/locked:/usr/bin:/bin`;
    expect((await stage.run(['uname'], { env: { PATH } })).end).toMatchObject({ exitCode: 0 });
    expect(await failure(['onlyhere'], { env: { PATH } })).toEqual({ stage: 'exec', errno: 'EACCES' });
  });

  test('a file that is missing, a directory, not executable, or without a name', async () => {
    expect(await failure(['/nonexistent/program'])).toEqual({ stage: 'exec', errno: 'ENOENT' });
    expect(await failure(['no-such-program'])).toEqual({ stage: 'exec', errno: 'ENOENT' });
    expect(await failure(['/etc'])).toEqual({ stage: 'exec', errno: 'EACCES' });
    expect(await failure([file('plain', '#!/bin/sh\n', 0o644)])).toEqual({ stage: 'exec', errno: 'EACCES' });
    expect(await failure(['/etc/passwd/x'])).toEqual({ stage: 'exec', errno: 'ENOTDIR' });
  });

  test('a text file without #! is not handed to a shell', async () => {
    expect(await failure([file('script', 'touch was-run\n')])).toEqual({ stage: 'exec', errno: 'ENOEXEC' });
    expect(await failure([file('empty', '')])).toEqual({ stage: 'exec', errno: 'ENOEXEC' });
  });

  test('an interpreter that does not exist', async () => {
    expect(await failure([file('bad', '#!/nonexistent/interpreter\n')])).toEqual({ stage: 'exec', errno: 'ENOENT' });
  });

  test('a working directory that is missing, or a file', async () => {
    expect(await failure(['true'], { cwd: '/nonexistent' })).toEqual({ stage: 'cwd', errno: 'ENOENT' });
    expect(await failure(['true'], { cwd: '/etc/passwd' })).toEqual({ stage: 'cwd', errno: 'ENOTDIR' });
  });

  test.each([
    ['one argument of 200 KB', ['true', 'x'.repeat(200_000)]],
    ['4 MB of arguments', ['true', ...Array.from({ length: 4000 }, () => 'x'.repeat(1000))]],
    ['12 MB of arguments', ['true', ...Array.from({ length: 12_000 }, () => 'x'.repeat(1000))]],
  ])('too much: %s', async (_, argv) => {
    expect(await failure(argv)).toEqual({ stage: 'exec', errno: 'E2BIG' });
  });

  test('many at once all start, each with its own result', async () => {
    const acts = await Promise.all(
      Array.from({ length: 60 }, (_, i) => stage.run(['sh', '-c', `echo ${i}; exit ${i}`])),
    );
    expect(acts.map((act) => [act.out, act.end?.exitCode])).toEqual(acts.map((_, i) => [`${i}\n`, i]));
  });
});
