import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DirectoryPresence, makeDirectory, watchDirectory } from '../../src/node/directory.ts';

function directory(): string {
  const parent = mkdtempSync(join(tmpdir(), 'execplane-presence-'));
  onTestFinished(() => rmSync(parent, { recursive: true }));
  const dir = join(parent, 'agent');
  mkdirSync(dir);
  return dir;
}

test('a directory that was removed, or replaced, is no longer present', () => {
  const dir = directory();
  const presence = new DirectoryPresence(dir);
  expect(presence.present).toBe(true);
  renameSync(dir, `${dir}-away`);
  expect(presence.present).toBe(false);
  mkdirSync(dir);
  expect(presence.present).toBe(false);
});

test('the removal of a directory is logged once', async () => {
  const dir = directory();
  const lines: string[] = [];
  const stop = watchDirectory(dir, { error: (line: unknown) => void lines.push(String(line)) }, 1);
  onTestFinished(stop);
  rmSync(dir, { recursive: true });
  await expect.poll(() => lines, { timeout: 20_000 }).toStrictEqual([expect.stringContaining(`(${dir}) was removed`)]);
});

test('a directory is made with its parents, all with the given mode; an existing one is left unchanged', () => {
  const parent = directory();
  const path = join(parent, 'a', 'b');
  makeDirectory(path, 0o700);
  expect([path, join(parent, 'a')].map((made) => statSync(made).mode & 0o777)).toEqual([0o700, 0o700]);
  makeDirectory(path, 0o755);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  symlinkSync(path, join(parent, 'link'));
  makeDirectory(join(parent, 'link', 'c'), 0o700);
  expect(existsSync(join(path, 'c'))).toBe(true);
});

test('a directory that cannot be made is an error at once, for every cause', () => {
  const parent = directory();
  writeFileSync(join(parent, 'file'), '');
  symlinkSync('nowhere', join(parent, 'dangling'));
  expect(() => makeDirectory(join(parent, 'file'), 0o700)).toThrow('EEXIST');
  expect(() => makeDirectory(join(parent, 'file', 'a', 'b'), 0o700)).toThrow('ENOTDIR');
  expect(() => makeDirectory(join(parent, 'dangling'), 0o700)).toThrow('EEXIST');
  expect(() => makeDirectory(join(parent, 'dangling', 'a'), 0o700)).toThrow(/EEXIST|ENOENT/);
  if (process.platform === 'linux') expect(() => makeDirectory('/proc/execplane/a', 0o700)).toThrow('ENOENT');
});
