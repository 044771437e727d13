/** Drop folders are made ahead, removed later, and passed on. A command must not notice: its folder is as new, and nothing that it left is overlooked. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import type { DropFolder, DropFolders as Folders } from '../../../../src/agent/runner/artifacts/drop-folder.ts';
import { until } from '../../../helpers/processes.ts';

/** The directory for temporary files, of this test alone. The module reads it once. */
const place = mkdtempSync(join(tmpdir(), 'execplane-folders-'));
vi.stubEnv('TMPDIR', place);
const { DropFolders } = await import('../../../../src/agent/runner/artifacts/drop-folder.ts');
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(place, { recursive: true, force: true });
});

const SELF = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const made: Folders[] = [];
const taken: string[] = [];

afterEach(() => {
  vi.restoreAllMocks();
  for (const folders of made.splice(0)) folders.close();
  for (const path of taken.splice(0)) rmSync(path, { recursive: true, force: true });
});

function dropFolders(): Folders {
  const folders = new DropFolders();
  made.push(folders);
  return folders;
}

function take(folders: Folders): DropFolder {
  const folder = folders.take(SELF);
  if (folder === undefined) throw new Error('no folder');
  taken.push(folder.path);
  return folder;
}

/** A folder that was made ahead, where the file system allows that. */
function takeAhead(folders: Folders): DropFolder {
  folders.giveBack(take(folders), false);
  folders.tidy();
  return take(folders);
}

test('an unused folder is empty, and is removed at the next tidying at the latest', () => {
  const folders = dropFolders();
  for (let i = 0; i < 3; i++) {
    const folder = takeAhead(folders);
    expect(statSync(folder.path).mode & 0o777).toBe(0o700);
    expect(folders.giveBack(folder, false)).toBe(true);
    folders.tidy();
    expect(existsSync(folder.path)).toBe(false);
  }
});

test.each<[string, (path: string) => void]>([
  ['a file', (path) => writeFileSync(join(path, 'file'), 'x')],
  ['a folder', (path) => mkdirSync(join(path, 'folder'))],
  [
    'the second of two files, the first of which was removed,',
    (path) => {
      writeFileSync(join(path, 'first'), 'x');
      unlinkSync(join(path, 'first'));
      writeFileSync(join(path, 'second'), 'x');
    },
  ],
])('%s written in the moment in which a command gets its folder is not overlooked', (_name, write) => {
  const folders = dropFolders();
  for (let i = 0; i < 50; i++) {
    const folder = takeAhead(folders);
    write(folder.path);
    expect(folders.giveBack(folder, false)).toBe(false);
    folders.tidy();
    expect(existsSync(folder.path)).toBe(true);
  }
});

test('a folder that is empty again, or was removed by its command, is empty', () => {
  const folders = dropFolders();
  const emptied = takeAhead(folders);
  writeFileSync(join(emptied.path, 'file'), 'x');
  unlinkSync(join(emptied.path, 'file'));
  chmodSync(emptied.path, 0o755);
  expect(folders.giveBack(emptied, false)).toBe(true);
  const removed = takeAhead(folders);
  rmdirSync(removed.path);
  expect(folders.giveBack(removed, false)).toBe(true);
});

test("a folder in which nothing was changed is the next command's, too, if the command has left no process", () => {
  const folders = dropFolders();
  const folder = takeAhead(folders);
  const showsChanges = folder.made !== undefined;
  for (let i = 0; i < 3; i++) {
    expect(folders.giveBack(folder, true)).toBe(true);
    folders.tidy();
    expect(existsSync(folder.path)).toBe(showsChanges);
    if (showsChanges) expect(take(folders).path).toBe(folder.path);
  }
});

test.each<[string, (path: string) => void]>([
  [
    'that a file was written to and removed from',
    (path) => {
      writeFileSync(join(path, 'file'), 'x');
      unlinkSync(join(path, 'file'));
    },
  ],
  ['whose mode was changed', (path) => chmodSync(path, 0o755)],
  ['whose times were set', (path) => utimesSync(path, 1, 1)],
  [
    'that was replaced by another one',
    (path) => {
      rmdirSync(path);
      mkdirSync(path, 0o700);
    },
  ],
])('a folder %s is not given to another command', (_name, change) => {
  const folders = dropFolders();
  for (let i = 0; i < 20; i++) {
    const folder = takeAhead(folders);
    change(folder.path);
    expect(folders.giveBack(folder, true)).toBe(true);
    expect(existsSync(folder.path)).toBe(false);
    expect(take(folders).path).not.toBe(folder.path);
  }
});

test('two commands that run at a time never share a folder', () => {
  const folders = dropFolders();
  folders.giveBack(takeAhead(folders), true);
  folders.tidy();
  const running = Array.from({ length: 4 }, () => take(folders));
  expect(new Set(running.map(({ path }) => path)).size).toBe(running.length);
  for (const folder of running) folders.giveBack(folder, true);
  folders.tidy();
  const next = Array.from({ length: 4 }, () => take(folders));
  expect(new Set(next.map(({ path }) => path)).size).toBe(next.length);
});

test('a folder that somebody has written to while no command used it is removed', async () => {
  const folders = dropFolders();
  const folder = takeAhead(folders);
  const { path } = folder;
  folders.giveBack(folder, true);
  if (existsSync(path)) writeFileSync(join(path, 'file'), 'x');
  const start = performance.now();
  vi.spyOn(performance, 'now').mockReturnValue(start + 60_000);
  expect(take(folders).path).not.toBe(path);
  vi.restoreAllMocks();
  folders.tidy();
  await until('the folder is removed', () => !existsSync(path));
});

test('a folder that was removed while no command used it is not given to a command', () => {
  const folders = dropFolders();
  folders.giveBack(take(folders), false);
  folders.tidy();
  for (const name of readdirSync(place)) rmdirSync(join(place, name));
  const start = performance.now();
  vi.spyOn(performance, 'now').mockReturnValue(start + 60_000);
  expect(existsSync(take(folders).path)).toBe(true);
});

test('no folder is left once they are closed', () => {
  const folders = dropFolders();
  folders.giveBack(takeAhead(folders), false);
  folders.tidy();
  folders.giveBack(take(folders), true);
  folders.close();
  expect(readdirSync(place)).toEqual([]);
});

test('what a background process writes after the end is removed', async () => {
  const folders = dropFolders();
  const folder = takeAhead(folders);
  expect(folders.giveBack(folder, false)).toBe(true);
  if (existsSync(folder.path)) writeFileSync(join(folder.path, 'late'), 'x');
  folders.tidy();
  await until('the folder is removed', () => !existsSync(folder.path));
});
