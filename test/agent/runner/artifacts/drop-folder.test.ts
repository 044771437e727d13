/** Drop folders are made ahead and removed later. A command must not notice: its folder is new, and nothing that it left is overlooked. */
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
  folders.giveBack(take(folders));
  folders.tidy();
  return take(folders);
}

test('an unused folder is empty, and is removed at the next tidying at the latest', () => {
  const folders = dropFolders();
  for (let i = 0; i < 3; i++) {
    const folder = takeAhead(folders);
    expect(statSync(folder.path).mode & 0o777).toBe(0o700);
    expect(folders.giveBack(folder)).toBe(true);
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
    expect(folders.giveBack(folder)).toBe(false);
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
  expect(folders.giveBack(emptied)).toBe(true);
  const removed = takeAhead(folders);
  rmdirSync(removed.path);
  expect(folders.giveBack(removed)).toBe(true);
});

test('a folder that was removed while no command used it is not given to a command', () => {
  const folders = dropFolders();
  folders.giveBack(take(folders));
  folders.tidy();
  for (const name of readdirSync(place)) rmdirSync(join(place, name));
  const start = performance.now();
  vi.spyOn(performance, 'now').mockReturnValue(start + 60_000);
  expect(existsSync(take(folders).path)).toBe(true);
});

test('no folder is left once they are closed', () => {
  const folders = dropFolders();
  folders.giveBack(takeAhead(folders));
  folders.tidy();
  folders.close();
  expect(readdirSync(place)).toEqual([]);
});

test('what a background process writes after the end is removed', async () => {
  const folders = dropFolders();
  const folder = takeAhead(folders);
  expect(folders.giveBack(folder)).toBe(true);
  if (existsSync(folder.path)) writeFileSync(join(folder.path, 'late'), 'x');
  folders.tidy();
  await until('the folder is removed', () => !existsSync(folder.path));
});
