/** `execplane cp` in both directions. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUSYBOX, installBusybox } from '../../helpers/busybox.ts';
import { makeDirectory, removeDirectory } from '../../helpers/directories.ts';
import { baseEnv, cli, Deployment, MAIN } from '../../helpers/harness.ts';
import { Started } from '../../helpers/processes.ts';

let deployment: Deployment;
let dir: string;
const bytes = randomBytes(3_000_000);

beforeAll(async () => {
  deployment = await Deployment.start();
  dir = makeDirectory('cp');
  writeFileSync(join(dir, 'file'), bytes);
  chmodSync(join(dir, 'file'), 0o751);
  utimesSync(join(dir, 'file'), 1_600_000_000, 1_600_000_000);
  mkdirSync(join(dir, 'folder/below'), { recursive: true });
  writeFileSync(join(dir, 'folder/below/a b'), 'deep');
  symlinkSync('below/a b', join(dir, 'folder/link'));
}, 60_000);
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
}, 60_000);

function settings() {
  return { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
}

async function cp(...args: string[]): Promise<void> {
  const { code, stderr } = await cli(['cp', ...args], settings());
  expect(stderr).toBe('');
  expect(code).toBe(0);
}

test('a file is copied there and back, with mode and time if requested', async () => {
  const [there, back] = [join(dir, 'there'), join(dir, 'back')];
  await cp('-p', join(dir, 'file'), `dm-test:${there}`);
  expect(readFileSync(there).equals(bytes)).toBe(true);
  expect(statSync(there)).toMatchObject({ mode: 0o100751, mtimeMs: 1_600_000_000_000 });
  await cp('-p', `dm-test:${there}`, back);
  expect(readFileSync(back).equals(bytes)).toBe(true);
  expect(statSync(back)).toMatchObject({ mode: 0o100751, mtimeMs: 1_600_000_000_000 });
});

test('a file that is copied into a directory keeps its name', async () => {
  mkdirSync(join(dir, 'into'));
  mkdirSync(join(dir, 'here'));
  await cp(join(dir, 'file'), `dm-test:${join(dir, 'into')}`);
  await cp(`dm-test:${join(dir, 'into/file')}`, join(dir, 'here'));
  expect(readFileSync(join(dir, 'here/file')).equals(bytes)).toBe(true);
});

test('- copies from stdin and to stdout', async () => {
  const line = `"${process.execPath}" "${MAIN}" cp - dm-test:${dir}/stream < ${dir}/file && "${process.execPath}" "${MAIN}" cp dm-test:${dir}/stream - | cmp - ${dir}/file`;
  const started = new Started('bash', ['-o', 'pipefail', '-c', line], baseEnv(settings()));
  expect((await started.exited).code, started.stderr).toBe(0);
});

test('folders can be copied to a new place, into an existing one, and back', async () => {
  await cp('-r', join(dir, 'folder'), `dm-test:${join(dir, 'new')}`);
  await cp('-r', join(dir, 'folder'), `dm-test:${join(dir, 'new')}`);
  await cp('-r', `dm-test:${join(dir, 'new')}`, join(dir, 'returned'));
  for (const copy of ['new', 'new/folder', 'returned', 'returned/folder']) {
    expect(readFileSync(join(dir, copy, 'link'), 'utf8')).toBe('deep');
  }
  expect(readdirSync(dir).filter((name) => name.includes('.execplane-'))).toEqual([]);
});

// The content of this file is another one at each read.
const CHANGING = '/proc/sys/kernel/random/uuid';

test('a copy that differs from the file on the machine is refused, and said to be wrong if it is printed already', async () => {
  const copied = join(dir, 'changing');
  const toFile = await cli(['cp', `dm-test:${CHANGING}`, copied], settings());
  expect(toFile).toMatchObject({ code: 1, stderr: expect.stringContaining('; nothing was written.') });
  expect(readdirSync(dir).filter((name) => name.includes('changing'))).toEqual([]);
  const toStdout = await cli(['cp', `dm-test:${CHANGING}`, '-'], settings());
  expect(toStdout.stdout).toMatch(/^[0-9a-f-]{36}\n$/);
  expect(toStdout).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('; the printed bytes are not a copy of it.'),
  });
});

test.each([
  [['nowhere', 'dm-test:/tmp/x'], 1, 'nowhere cannot be read'],
  [['dm-test:/nowhere/file', 'x'], 1, '/nowhere/file: No such file or directory'],
  [['.', 'dm-test:/tmp/x'], 1, 'is a folder: use -r to copy it'],
  [['a', 'b'], 2, 'exactly one of the two operands must be MACHINE:PATH'],
  [['-r', 'dm-test:/nowhere', 'execplane-cp-x'], 1, 'No such directory'],
])('cp %j exits with %d and the reason', async (args, code, message) => {
  expect(await cli(['cp', ...args], settings())).toMatchObject({ code, stderr: expect.stringContaining(message) });
});

test.skipIf(BUSYBOX === undefined)('the scripts run in BusyBox as well', async () => {
  const tools = installBusybox(join(dir, 'busybox'));
  const { READ, WRITE, MOVE, LIST, STAT } = await import('../../../src/client/file-scripts.ts');
  const env = { PATH: tools };
  const sh = (script: string, args: string[], input?: string) =>
    execFileSync(join(tools, 'sh'), ['-c', script, 'sh', ...args], {
      env,
      ...(input === undefined ? {} : { input }),
    }).toString();
  const target = join(dir, 'by busybox');
  const [size, sum, ...name] = sh(WRITE, [target, 'mark', '640'], 'hello').trim().split(' ');
  expect([size, sum?.length]).toEqual(['5', 64]);
  sh(MOVE, [name.join(' ')]);
  expect(sh(READ, [target, '1', ''])).toBe('hello');
  expect(sh(READ, [target, '2', '3'])).toBe('ell');
  expect(sh(STAT, [target])).toMatch(/^81a0 5 \d+ /);
  expect(sh(LIST, [join(dir, 'folder')]).split('\n\0')).toHaveLength(3);
});
