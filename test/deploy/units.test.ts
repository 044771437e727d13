/** The systemd units, checked by systemd: they are valid, and the server has the documented exposure level. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const UNITS = join(ROOT, 'deploy/systemd');
const systemd = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
const hasSystemd = systemd.status === 0;
/** The message of systemd before 254 for the only key that it does not support and ignores. */
const UNKNOWN_BEFORE_254 = /Unknown key 'DelegateSubgroup' in section \[Service\], ignoring/;
const isBefore254 = Number(/^systemd (\d+)/.exec(systemd.stdout ?? '')?.[1]) < 254;

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

describe.runIf(hasSystemd)('systemd-analyze', () => {
  test.each(['server', 'agent'])('accepts execplane-%s.service without a warning', (role) => {
    const unit = join(machineWithPrograms(), `execplane-${role}.service`);
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    const lines = stderr.split('\n').filter((line) => line.includes('execplane'));
    expect(lines.filter((line) => !(isBefore254 && UNKNOWN_BEFORE_254.test(line)))).toEqual([]);
    expect(status).toBe(0);
  });

  test('rates the exposure of the server below 2.0, and the docs have the value', () => {
    const unit = join(UNITS, 'execplane-server.service');
    const said = execFileSync('systemd-analyze', ['security', '--offline=true', unit], { encoding: 'utf8' });
    const level = /Overall exposure level for execplane-server.service: (\S+)/.exec(said)?.[1] ?? '';
    expect(Number(level)).toBeLessThan(2);
    expect(readFileSync(join(ROOT, 'docs/operate.md'), 'utf8')).toContain(`an exposure level of **${level}**`);
  });
});

/** The units, with existing programs instead of the programs of the package. */
function machineWithPrograms(): string {
  const folder = mkdtempSync(join(tmpdir(), 'execplane-units-'));
  made.push(folder);
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'execplane'), '#!/bin/sh\n', { mode: 0o755 });
  cpSync(join(UNITS, 'agent-stop'), join(bin, 'agent-stop'));
  for (const role of ['server', 'agent']) {
    const unit = readFileSync(join(UNITS, `execplane-${role}.service`), 'utf8')
      .replaceAll('/usr/bin/execplane', join(bin, 'execplane'))
      .replaceAll('/usr/lib/execplane/bin/node', process.execPath)
      .replaceAll('/usr/lib/execplane/systemd/agent-stop', join(bin, 'agent-stop'));
    writeFileSync(join(folder, `execplane-${role}.service`), unit);
  }
  return folder;
}
