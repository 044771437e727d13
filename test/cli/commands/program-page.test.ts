/** docs/cli.md lists exactly the commands, options and exit codes of the CLI. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { specsOf } from '../../../src/cli/commands/completion.ts';
import type { CommandSpec } from '../../../src/cli/completion-scripts.ts';
import { exitCodeOf } from '../../../src/cli/exec/exit-code.ts';
import { COMMANDS } from '../../../src/cli/commands/program.ts';
import { FAILURE_CODES } from '../../../src/core/execution.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/cli.md'), 'utf8');
/** The options of each command in the table. */
const rows = new Map(
  Array.from(page.matchAll(/^\| `execplane ([a-z -]+)` \|.*\|(.*)\|$/gm), ([, path = '', options = '']) => [
    path,
    options,
  ]),
);
const CLIENT_OPTIONS = ['--url', '--api-key', '--data-dir', '--ca-file', '--insecure'];
/** Commands whose settings are in the man page, which another test checks. */
const BY_SETTINGS = new Set(['up', 'server', 'agent', 'doctor']);

let specs: CommandSpec[];

beforeAll(async () => {
  specs = await specsOf(COMMANDS);
});

test('the page has every command', () => {
  const groups = new Set(
    specs.filter(({ path, children }) => children.length > 0 && path !== 'agent').map((s) => s.path),
  );
  const commands = specs.map(({ path }) => path).filter((path) => !groups.has(path));
  expect([...rows.keys()].sort()).toEqual(commands.sort());
});

test('the page has every option of every command, and no other', () => {
  for (const { path, options } of specs.filter((spec) => rows.has(spec.path) && !BY_SETTINGS.has(spec.path))) {
    const told = rows.get(path)?.match(/--[a-z-]+/g) ?? [];
    const own = options.filter((option) => option !== '--help' && !CLIENT_OPTIONS.includes(option));
    expect(told.sort(), path).toEqual(own.sort());
  }
  for (const option of CLIENT_OPTIONS) expect(page).toContain(`\`${option}\``);
});

test('the page has the exit code of each end of an execution', () => {
  const row = (code: number) => new RegExp(`^\\| ${code} \\|(.*)\\|$`, 'm').exec(page)?.[1] ?? '';
  const failed = FAILURE_CODES.filter((code) => exitCodeOf({ status: 'failed', error_code: code }) === 125);
  const ofTheCommand = ['nonzero_exit', 'signaled'];
  const told = Array.from(row(125).matchAll(/`(\w+)`/g), ([, code]) => code);
  expect(told).toEqual(failed.filter((code) => !ofTheCommand.includes(code)).sort());
  for (const code of FAILURE_CODES) expect(row(exitCodeOf({ status: 'failed', error_code: code }))).not.toBe('');
});
