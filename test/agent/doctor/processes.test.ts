/** The diagnosis of cgroups, tested on directories with the same files as in the kernel's file system. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { examineCgroups } from '../../../src/agent/doctor/processes.ts';

const RUNNER = 4711;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'execplane-cgroups-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Makes a cgroup with these controllers for the ones below it. */
function cgroup(path: string, controllers: string): string {
  const directory = join(root, path);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'cgroup.kill'), '');
  writeFileSync(join(directory, 'cgroup.subtree_control'), `${controllers}\n`);
  return directory;
}
const examine = (directory: string) => examineCgroups(RUNNER, { path: '/unit', directory });

test('the cgroup of the commands decides whether commands can be limited', () => {
  const unit = cgroup('unit', 'cpu io memory pids');
  cgroup(`unit/execplane-${RUNNER}-99-1`, 'cpu io memory pids');
  expect(examine(unit)).toMatchObject({ state: 'ok', message: expect.stringContaining('with limits') });
  cgroup(`unit/execplane-${RUNNER}-99-1`, 'pids');
  expect(examine(unit)).toMatchObject({ state: 'ok', message: expect.not.stringContaining('with limits') });
});

test('a restart of the unit, which removes that cgroup until the next command, is no fault', () => {
  const unit = cgroup('unit', 'cpu io memory pids');
  expect(examine(unit)).toMatchObject({ state: 'ok', message: expect.stringContaining('with limits') });
  expect(examine(cgroup('unit/agent', ''))).toMatchObject({
    state: 'ok',
    message: expect.stringContaining('with limits'),
  });
});

test('a cgroup in which none can be made for commands is reported', () => {
  const unit = join(root, 'unit');
  mkdirSync(unit);
  expect(examine(unit)).toMatchObject({ state: 'warn', message: expect.stringContaining('/unit') });
  expect(examineCgroups(RUNNER, undefined)).toMatchObject({ state: 'warn', message: expect.stringContaining('v2') });
});
