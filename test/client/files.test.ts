/** Files of a machine through the client. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Execplane, FileError, type Files } from '../../src/client/main.ts';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
let files: Files;
let dir: string;

beforeAll(async () => {
  deployment = await Deployment.start();
  files = new Execplane({ url: deployment.server.url, apiKey: deployment.server.key }).machine('dm-test').files;
  dir = makeDirectory('files');
}, 60_000);
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
}, 60_000);

test('bytes are written and read back unchanged, under names of any kind', async () => {
  const bytes = randomBytes(2_500_000);
  for (const name of ['plain', '-n', "a 'b' $c\n"]) {
    await files.write(join(dir, name), bytes);
    expect(readFileSync(join(dir, name)).equals(bytes)).toBe(true);
    expect(Buffer.from(await files.read(join(dir, name))).equals(bytes)).toBe(true);
  }
  await files.write(join(dir, 'empty'), '');
  expect(await files.read(join(dir, 'empty'))).toHaveLength(0);
  expect(readdirSync(dir).filter((name) => name.includes('.execplane-'))).toEqual([]);
});

test('a replaced file keeps its mode, a symbolic link stays one, and a given mode is set', async () => {
  writeFileSync(join(dir, 'script'), 'old');
  chmodSync(join(dir, 'script'), 0o750);
  symlinkSync('script', join(dir, 'link'));
  await files.write(join(dir, 'link'), 'new');
  expect(readFileSync(join(dir, 'script'), 'utf8')).toBe('new');
  expect(statSync(join(dir, 'script')).mode & 0o777).toBe(0o750);
  expect(await files.stat(join(dir, 'link'))).toMatchObject({ type: 'symlink' });
  await files.write(join(dir, 'script'), 'newer', { mode: 0o600 });
  expect(statSync(join(dir, 'script')).mode & 0o777).toBe(0o600);
});

test('list and stat describe files', async () => {
  const folder = join(dir, 'folder');
  mkdirSync(join(folder, 'below'), { recursive: true });
  writeFileSync(join(folder, 'a\nb'), '12345', { mode: 0o640 });
  writeFileSync(join(folder, '.hidden'), '');
  const list = await files.list(folder);
  expect(list.map(({ name, type, size }) => [name, type, type === 'file' ? size : 0]).sort()).toEqual([
    ['.hidden', 'file', 0],
    ['a\nb', 'file', 5],
    ['below', 'directory', 0],
  ]);
  const stat = await files.stat(join(folder, 'a\nb'));
  expect(stat).toEqual({
    name: 'a\nb',
    type: 'file',
    size: 5,
    mode: 0o640,
    modifiedAt: Math.floor(statSync(join(folder, 'a\nb')).mtimeMs / 1000) * 1000,
  });
  expect(await files.list(join(folder, 'below'))).toEqual([]);
});

test('remove deletes directories too', async () => {
  mkdirSync(join(dir, 'gone/below'), { recursive: true });
  await files.remove(join(dir, 'gone'));
  expect(existsSync(join(dir, 'gone'))).toBe(false);
});

test.each([
  ['read', () => files.read('/nowhere/file'), '/nowhere/file: No such file or directory'],
  ['read', () => files.read(dir), `Is a directory`],
  ['write', () => files.write('/nowhere/file', 'x'), '/nowhere/file: '],
  ['write', () => files.write(dir, 'x'), 'Is a directory'],
  ['stat', () => files.stat('/nowhere/file'), 'No such file or directory'],
  ['list', () => files.list('/nowhere'), '/nowhere: No such file or directory'],
  ['list', () => files.list('/etc/passwd'), '/etc/passwd: Not a directory'],
  ['remove', () => files.remove('/nowhere/file'), 'No such file or directory'],
])('the error of %s says what is wrong', async (_what, act, message) => {
  const error = await act().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FileError);
  expect((error as Error).message).toContain(message);
});
