import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LastLook } from '../../src/node/directory.ts';
import { oneTurn } from '../helpers/one-turn.ts';

let parent: string;
let directory: string;
let looks: number;
let last: LastLook<number>;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'execplane-looks-'));
  directory = join(parent, 'directory');
  mkdirSync(directory);
  writeFileSync(join(directory, 'old'), 'x');
  looks = 0;
  last = new LastLook(directory, () => ++looks);
});
afterEach(() => {
  vi.restoreAllMocks();
  last.close();
  rmSync(parent, { recursive: true });
});

test.runIf(process.platform === 'linux')('an unchanged directory is looked at once a second', async () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  for (let i = 0; i < 3; i++) {
    expect(last.value).toBe(1);
    await oneTurn();
  }
  now.mockReturnValue(1999);
  expect(last.value).toBe(1);
  now.mockReturnValue(2000);
  expect(last.value).toBe(2);
});

test.each<[string, () => void]>([
  ['a file is made', () => writeFileSync(join(directory, 'new'), '')],
  ['a file is written', () => writeFileSync(join(directory, 'old'), 'y')],
  ['the mode of a file changes', () => chmodSync(join(directory, 'old'), 0o600)],
  ['a file is removed', () => rmSync(join(directory, 'old'))],
  ['a file is moved into it', () => renameSync(join(directory, 'old'), join(directory, 'new'))],
  ['its own mode changes', () => chmodSync(directory, 0o711)],
  ['it is renamed', () => renameSync(directory, join(parent, 'away'))],
  [
    'another takes its place',
    () => {
      renameSync(directory, join(parent, 'away'));
      mkdirSync(directory);
    },
  ],
  ['it is removed', () => rmSync(directory, { recursive: true })],
])('a directory is looked at again after %s', async (_name, change) => {
  vi.spyOn(performance, 'now').mockReturnValue(1000);
  expect(last.value).toBe(1);
  change();
  await oneTurn();
  expect(last.value).toBe(2);
});
