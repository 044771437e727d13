/** Contract §2: argv, stdin, env and cwd of the process. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CreateBody } from '../helpers/client.ts';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { Deployment } from '../helpers/harness.ts';
import { isAlive, until } from '../helpers/processes.ts';

let deployment: Deployment;
let dir: string;
beforeAll(async () => {
  dir = makeDirectory('process');
  deployment = await Deployment.start({ agent: { EXECPLANE_TEST_SECRET: 'of-the-agent', LC_MESSAGES: 'C' } });
});
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
});

async function stdoutOf(body: CreateBody): Promise<string> {
  const execution = await deployment.machine.run(body);
  expect(execution).toMatchObject({ status: 'succeeded' });
  return (await deployment.machine.output(execution.execution_id)).stdout;
}
const shell = (line: string, more: Omit<CreateBody, 'command'> = {}) =>
  stdoutOf({ command: ['/bin/sh', '-c', line], ...more });

describe('argv, no shell', () => {
  test('arguments are not split, globbed or unquoted', async () => {
    const out = await stdoutOf({ command: ['printf', '[%s]', 'a b', '*', '$HOME', "'q'", '', '`id`', ';'] });
    expect(out).toBe("[a b][*][$HOME]['q'][][`id`][;]");
  });

  test('command[0] is looked up in the PATH of the process', async () => {
    const bin = join(dir, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'only-here'), '#!/bin/sh\necho found\n', { mode: 0o755 });
    expect(await stdoutOf({ command: ['only-here'], env: { PATH: `${bin}:/bin:/usr/bin` } })).toBe('found\n');
    expect(await deployment.machine.run({ command: ['only-here'] })).toMatchObject({ error_code: 'command_not_found' });
    expect(await deployment.machine.run({ command: ['ls'], env: { PATH: dir } })).toMatchObject({
      error_code: 'command_not_found',
    });
  });

  test('a text file without #! is not run by a shell: spawn_failed, exec format error', async () => {
    const script = join(dir, 'no-shebang');
    writeFileSync(script, 'echo ran by a shell\n', { mode: 0o755 });
    const execution = await deployment.machine.run({ command: [script] });
    expect(execution).toMatchObject({ status: 'failed', error_code: 'spawn_failed' });
    expect(execution.error_message).toMatch(/exec format error|ENOEXEC/i);
    expect(execution).not.toHaveProperty('started_at');
  });

  test('a text file without #! found through the PATH is not run either', async () => {
    writeFileSync(join(dir, 'bare'), 'echo ran\n', { mode: 0o755 });
    expect(await deployment.machine.run({ command: ['bare'], env: { PATH: dir } })).toMatchObject({
      error_code: 'spawn_failed',
    });
  });

  test.each([
    ['no such file', () => '/no/such/file', { error_code: 'command_not_found', exit_code: 127 }],
    ['not in the PATH', () => 'no-such-command-here', { error_code: 'command_not_found', exit_code: 127 }],
    [
      'not executable',
      () => {
        const p = join(dir, 'plain');
        writeFileSync(p, '');
        chmodSync(p, 0o644);
        return p;
      },
      { error_code: 'permission_denied', exit_code: 126 },
    ],
    ['a directory', () => dir, { error_code: 'permission_denied', exit_code: 126 }],
    [
      'a #! with a missing interpreter',
      () => {
        const p = join(dir, 'lost');
        writeFileSync(p, '#!/no/interpreter\n', { mode: 0o755 });
        return p;
      },
      { error_code: 'command_not_found', exit_code: 127 },
    ],
  ])('%s', async (_, path, expected) => {
    expect(await deployment.machine.run({ command: [path()] })).toMatchObject({ status: 'failed', ...expected });
  });

  test('an argument list that is too long (E2BIG) fails with argument_list_too_long', async () => {
    const execution = await deployment.machine.run({ command: ['/bin/true', 'x'.repeat(140_000)] });
    expect(execution).toMatchObject({ status: 'failed', error_code: 'argument_list_too_long' });
  });

  test('many arguments that fit arrive', async () => {
    const words = Array.from({ length: 20_000 }, (_, n) => `w${n}`);
    expect(await stdoutOf({ command: ['/bin/sh', '-c', 'echo $#', 'sh', ...words] })).toBe('20000\n');
  });
});

describe('stdin', () => {
  test('stdin is written as UTF-8 bytes, then closed', async () => {
    const stdin = 'zwölf Boxkämpfer\n\u{1F600}\0end';
    expect(await stdoutOf({ command: ['cat'], stdin })).toBe(stdin);
  });

  test('a process without stdin reads end-of-file', async () => {
    expect(await shell('cat; echo eof')).toBe('eof\n');
  });

  test('an empty stdin is end-of-file too', async () => {
    expect(await shell('cat; echo eof', { stdin: '' })).toBe('eof\n');
  });

  test('a process that exits without reading its stdin is not an error', async () => {
    const execution = await deployment.machine.run({ command: ['/bin/true'], stdin: 'x'.repeat(8_000_000) });
    expect(execution).toMatchObject({ status: 'succeeded', exit_code: 0 });
  });

  test('a process that closes its stdin early keeps running', async () => {
    expect(await shell('head -c 3; exec <&-; sleep 0.1; echo " done"', { stdin: 'abc'.repeat(2_000_000) })).toBe(
      'abc done\n',
    );
  });

  test('stdin in base64 is binary, and arrives byte for byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, n) => (n * 7 + (n >> 8)) % 256));
    const out = await stdoutOf({ command: ['sha256sum'], stdin: bytes.toString('base64'), stdin_encoding: 'base64' });
    expect(out.slice(0, 64)).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('stdin can be opened again by path', async () => {
    expect(await shell('cat /dev/stdin', { stdin: 'again' })).toBe('again');
    expect(await shell('cat /proc/self/fd/0; echo eof')).toBe('eof\n');
  });
});

describe('stdout and stderr', () => {
  test('both can be opened again by path', async () => {
    const { execution_id } = await deployment.machine.sh(
      'echo out > /dev/stdout; echo err > /dev/stderr; echo more >> /dev/stderr',
    );
    expect(await deployment.machine.output(execution_id)).toMatchObject({ stdout: 'out\n', stderr: 'err\nmore\n' });
  });

  test('both are pipes, neither a terminal nor a socket', async () => {
    expect(await shell('test -t 1 || echo no tty; readlink /proc/self/fd/1 | grep -c pipe')).toBe('no tty\n1\n');
  });

  test('the process inherits no other descriptor', async () => {
    expect(await shell('ls /proc/$$/fd')).toBe('0\n1\n2\n');
  });
});

describe('env', () => {
  const PROMISED = new Set(['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'TZ', 'EXECUTION_ID', 'ARTIFACTS_DIR']);
  const names = (out: string) =>
    out
      .split('\0')
      .filter(Boolean)
      .map((pair) => pair.slice(0, pair.indexOf('=')));

  test('the environment has only the promised names', async () => {
    const out = await stdoutOf({ command: ['env', '-0'] });
    expect(names(out).filter((name) => !PROMISED.has(name) && !name.startsWith('LC_'))).toEqual([]);
    expect(names(out)).toEqual(expect.arrayContaining(['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'EXECUTION_ID']));
    expect(out).not.toContain('of-the-agent');
    expect(out).not.toContain('EXECPLANE');
  });

  test('EXECUTION_ID is the id of the execution', async () => {
    const execution = await deployment.machine.run({ command: ['printenv', 'EXECUTION_ID'] });
    expect((await deployment.machine.output(execution.execution_id)).stdout).toBe(`${execution.execution_id}\n`);
  });

  test('HOME and USER are those of the agent user', async () => {
    const { username } = userInfo();
    expect(await shell('echo $HOME $USER $LOGNAME')).toBe(`${homedir()} ${username} ${username}\n`);
  });

  test('variables of the caller are set, and override the base', async () => {
    const out = await shell('echo "$GREETING|$HOME|$LANG"', {
      env: { GREETING: 'hallo  welt', HOME: '/elsewhere', LANG: 'C' },
    });
    expect(out).toBe('hallo  welt|/elsewhere|C\n');
  });

  test('__proto__ and the like are ordinary names', async () => {
    const body = '{"command":["/usr/bin/env","-0"],"env":{"__proto__":"p","constructor":"c","toString":"t"}}';
    const headers = { 'content-type': 'application/json' };
    const answer = await deployment.client.request<{ execution_id: string; env_keys: string[] }>(
      'POST',
      deployment.machine.path,
      {
        body,
        headers,
        query: { wait_ms: 20_000 },
      },
    );
    expect(answer.status).toBe(200);
    expect(answer.json.env_keys).toEqual(['__proto__', 'constructor', 'toString']);
    const { stdout } = await deployment.machine.output(answer.json.execution_id);
    expect(stdout.split('\0')).toEqual(expect.arrayContaining(['__proto__=p', 'constructor=c', 'toString=t']));
  });

  test('the environment of the ancestors contains no credential of the agent', async () => {
    const out = await shell('tr "\\0" "\\n" < /proc/$PPID/environ | grep -c xpa_ || true');
    expect(out).toBe('0\n');
  });
});

describe('cwd', () => {
  test("cwd defaults to the home of the agent's user", async () => {
    expect(await stdoutOf({ command: ['pwd'] })).toBe(`${homedir()}\n`);
  });

  test('a relative cwd starts at that home', async () => {
    const name = `.execplane-test-${process.pid}`;
    mkdirSync(join(homedir(), name));
    try {
      expect(await stdoutOf({ command: ['pwd'], cwd: name })).toBe(`${join(homedir(), name)}\n`);
    } finally {
      rmSync(join(homedir(), name), { recursive: true });
    }
  });

  test.each([
    ['missing', '/no/such/directory'],
    ['not a directory', '/etc/passwd'],
  ])('a cwd that is %s fails with cwd_not_found', async (_, cwd) => {
    const execution = await deployment.machine.run({ command: ['/bin/true'], cwd });
    expect(execution).toMatchObject({ status: 'failed', error_code: 'cwd_not_found' });
    expect(execution).not.toHaveProperty('started_at');
  });
});

describe('the process itself', () => {
  test('the process leads its own session and process group', async () => {
    const out = await shell('cut -d" " -f1,5,6 /proc/$$/stat');
    const [pid, group, session] = out.trim().split(' ');
    expect([group, session]).toEqual([pid, pid]);
  });

  test('signals have their default dispositions, and none is blocked', async () => {
    const out = await shell('grep -E "^Sig(Blk|Ign)" /proc/self/status');
    expect(out.replace(/\s+/g, ' ')).toBe('SigBlk: 0000000000000000 SigIgn: 0000000000000000 ');
  });

  test('a background child that outlives the process keeps running and gets no SIGPIPE', async () => {
    const flag = join(dir, 'outlived');
    const line = `(i=0; while [ $i -lt 400 ]; do echo line $i || exit 9; i=$((i+1)); sleep 0.005; done; echo ok > ${flag}) & echo $!; exit 0`;
    const execution = await deployment.machine.sh(line);
    expect(execution).toMatchObject({ status: 'succeeded', exit_code: 0 });
    const { stdout } = await deployment.machine.output(execution.execution_id);
    const pid = Number(stdout.split('\n').find((text) => /^\d+$/.test(text)));
    expect(isAlive(pid)).toBe(true);
    await until('the background child has printed all it had to say', () => existsSync(flag));
    expect(await deployment.machine.output(execution.execution_id)).toMatchObject({ stdout });
  });
});
