import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DirectoryPresence, watchDirectory } from '../../src/node/directory-presence.ts';

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

test('that it was removed is logged, once', async () => {
  const dir = directory();
  const lines: string[] = [];
  const stop = watchDirectory(dir, { error: (line: unknown) => void lines.push(String(line)) }, 1);
  onTestFinished(stop);
  rmSync(dir, { recursive: true });
  await expect.poll(() => lines, { timeout: 20_000 }).toStrictEqual([expect.stringContaining(`(${dir}) was removed`)]);
});
