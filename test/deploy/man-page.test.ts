/** execplane(1) documents all commands and settings of the program. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { manPage } from '../../scripts/package/man-page.ts';
import { AGENT_SETTINGS } from '../../src/agent/config.ts';
import { COMMAND_NAMES } from '../../src/cli/commands/program.ts';
import { SERVER_SETTINGS } from '../../src/server/config.ts';

const page = manPage(join(import.meta.dirname, '../..'), { version: '1.2.3', description: '', arch: 'x64', epoch: 0 });

test('the man page has every command', () => {
  const told = [...page.matchAll(/^\.TP\n\.B ([a-z-]+)\n/gm)].map((match) => match[1]);
  expect(told.sort()).toEqual([...COMMAND_NAMES].sort());
});

test('the man page has every setting, with its flag if it explains flags', () => {
  const told = [...page.matchAll(/^\.TP\n\.B (EXECPLANE_\w+)\n/gm)].map((match) => match[1]);
  expect(told).toEqual([...SERVER_SETTINGS, ...AGENT_SETTINGS].map(({ variable }) => variable));
});

test('the man page has no placeholders left', () => {
  expect(page).not.toMatch(/@[A-Z_]+@/);
  expect(page).toContain('"execplane 1.2.3"');
});
