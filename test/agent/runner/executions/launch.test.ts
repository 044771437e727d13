import { chmodSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { sharedRunner } from '../../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const linked = sharedRunner();
const NOTHING = { stdout_bytes: 0, stderr_bytes: 0, stdout_truncated: false, stderr_truncated: false };
const sh = (script: string) => ['/bin/sh', '-c', script];

test('a command is started, its output reported, then its end, numbered from 1', async () => {
  const { link } = await linked();
  const { records, stdout, stderr, ended } = await link.run('a', sh('echo out; echo err >&2'));
  expect(stdout.toString()).toBe('out\n');
  expect(stderr.toString()).toBe('err\n');
  expect(records.map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  expect(records.map(({ at }) => at)).toEqual(records.map(({ at }) => at).toSorted((a, b) => a - b));
  expect(records[0]?.kind).toBe(1);
  const { usage, ...end } = ended;
  expect(end).toEqual({ ...NOTHING, status: 'succeeded', exit_code: 0, stdout_bytes: 4, stderr_bytes: 4 });
  expect(usage?.max_memory_bytes).toBeGreaterThan(100_000);
});

test('each kind of end has its code', async () => {
  const { link } = await linked();
  expect((await link.run('code', sh('exit 7'))).ended).toMatchObject({ error_code: 'nonzero_exit', exit_code: 7 });
  const killed = (await link.run('kill', sh('kill -SEGV $$'))).ended;
  expect(killed).toMatchObject({ status: 'failed', error_code: 'signaled', signal: 11 });
  expect(killed).not.toHaveProperty('exit_code');
  // Node's own child_process reports this one as exit 0.
  expect((await link.run('rt', sh('kill -40 $$'))).ended).toMatchObject({ error_code: 'signaled', signal: 40 });
});

describe('a command that could not be spawned never started, and has the reason', () => {
  test.each<[string, (directory: string) => string[], object]>([
    ['no such command', () => ['no-such-command'], { error_code: 'command_not_found', exit_code: 127 }],
    ['no such file', () => ['/no/such/file'], { error_code: 'command_not_found', exit_code: 127 }],
    ['a directory', () => ['/tmp'], { error_code: 'permission_denied', exit_code: 126 }],
    [
      'not executable',
      (directory) => [file(directory, 'true', 0o644)],
      { error_code: 'permission_denied', exit_code: 126 },
    ],
    [
      'no interpreter',
      (directory) => [file(directory, '#!/no/such/interpreter\n', 0o755)],
      { error_code: 'command_not_found', exit_code: 127, error_message: expect.stringContaining('interpreter') },
    ],
    [
      'a text without #!',
      (directory) => [file(directory, 'echo hello\n', 0o755)],
      { error_code: 'spawn_failed', error_message: expect.stringContaining('exec format error') },
    ],
    ['too long', () => ['/bin/echo', 'x'.repeat(3 << 20)], { error_code: 'argument_list_too_long' }],
  ])('%s', async (_name, command, ending) => {
    const { link, directory } = await linked();
    const { ended, records } = await link.run('a', command(directory));
    expect(ended).toMatchObject({ ...NOTHING, status: 'failed', ...ending });
    expect(records).toHaveLength(1);
  });
});

test('a working directory is the home by default, relative to it, missing, or not a directory', async () => {
  const { link, directory } = await linked();
  const home = userInfo().homedir;
  expect((await link.run('home', ['/bin/pwd'])).stdout.toString()).toBe(`${home}\n`);
  expect((await link.run('rel', ['/bin/pwd'], { cwd: '../tmp/.' })).stdout.toString()).toMatch(/tmp\n$/);
  const missing = await link.run('missing', ['/bin/pwd'], { cwd: '/no/such/place' });
  expect(missing.ended).toMatchObject({ error_code: 'cwd_not_found' });
  expect(missing.started).toBe(false);
  const notOne = await link.run('file', ['/bin/pwd'], { cwd: file(directory, '', 0o644) });
  expect(notOne.ended).toMatchObject({ error_code: 'cwd_not_found' });
});

test("the environment has a clean base, the caller's variables and the execution id", async () => {
  const { link } = await linked();
  const { stdout } = await link.run('env-1', ['/usr/bin/env'], { env: { A: '1', PATH: '/bin:/usr/bin', HOME: '/x' } });
  const env = Object.fromEntries(
    stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  );
  const { username, shell } = userInfo();
  expect(env).toEqual({
    A: '1',
    PATH: '/bin:/usr/bin',
    HOME: '/x',
    USER: username,
    LOGNAME: username,
    SHELL: shell ?? '/bin/sh',
    EXECUTION_ID: 'env-1',
  });
});

test('an unknown user fails with user_not_found', async () => {
  const { link } = await linked();
  const { ended, started } = await link.run('a', ['/bin/true'], { user: 'nobody-of-this-name' });
  expect(ended).toMatchObject({ status: 'failed', error_code: 'user_not_found' });
  expect(started).toBe(false);
});

test.runIf(process.getuid?.() === 0)('another user gets their own home, groups and environment', async () => {
  const { link } = await linked();
  const { stdout } = await link.run('a', ['/bin/sh', '-c', 'id -un; id -gn; echo $USER'], { user: 'nobody', cwd: '/' });
  expect(stdout.toString()).toMatch(/^nobody\n\w+\nnobody\n$/);
});

function file(directory: string, content: string, mode: number): string {
  const path = join(directory, 'program');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}
