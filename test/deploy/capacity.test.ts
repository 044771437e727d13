/** docs/capacity.md names existing benches and settings, and the present limits. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AGENT_SETTINGS } from '../../src/agent/config.ts';
import { AGENT_LIMITS } from '../../src/server/control/agents/connection/limits.ts';
import { SERVER_SETTINGS } from '../../src/server/config.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/capacity.md'), 'utf8');
const MIB = 1024 ** 2;

test('the page names existing benches for its figures', () => {
  const benches = Array.from(page.matchAll(/npm run bench -- ([a-z-]+)/g), ([, name]) => name);
  expect(benches.length).toBeGreaterThan(5);
  for (const name of benches) expect(existsSync(join(ROOT, `bench/${name}.ts`)), name).toBe(true);
});

test('the page names existing settings', () => {
  const settings = new Set([...SERVER_SETTINGS, ...AGENT_SETTINGS].map(({ variable }) => variable));
  for (const [name] of page.matchAll(/EXECPLANE_\w+/g)) expect(settings).toContain(name);
});

test('the page has the actual defaults and limits', () => {
  const byDefault = (variable: string) =>
    [...SERVER_SETTINGS, ...AGENT_SETTINGS].find((setting) => setting.variable === variable)?.default;
  for (const variable of ['EXECPLANE_MAX_BODY_BYTES', 'EXECPLANE_MAX_OUTPUT_BYTES']) {
    expect(page).toMatch(new RegExp(`\\| ${Number(byDefault(variable)) / MIB} MiB \\| \`${variable}\``));
  }
  expect(page.replaceAll(',', '')).toContain(`| waiting on one machine | ${byDefault('EXECPLANE_MAX_QUEUE')}`);
  expect(page).toContain(`| running at once on one machine | ${byDefault('EXECPLANE_MAX_CONCURRENCY')} |`);
  expect(page).toContain(`from one agent | ${AGENT_LIMITS.windowBytes / MIB} MiB`);
  expect(page).toContain(`of all agents | ${AGENT_LIMITS.unwrittenBytesOfAll / MIB} MiB`);
});
