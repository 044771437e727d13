/** Runs the examples of docs/client.md and of examples/, and compares their output with the page. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { baseEnv, Deployment } from '../helpers/harness.ts';
import { Started } from '../helpers/processes.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/client.md'), 'utf8');
let deployment: Deployment;
let dir: string;

beforeAll(async () => {
  deployment = await Deployment.start();
  dir = makeDirectory('docs');
  // Resolves the package as if it were installed.
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(ROOT, join(dir, 'node_modules/execplane'));
}, 60_000);
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
}, 60_000);

async function run(source: string, ...args: string[]): Promise<string> {
  writeFileSync(join(dir, 'example.ts'), source);
  const env = baseEnv({ EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key });
  const started = new Started(process.execPath, [join(dir, 'example.ts'), ...args], env, dir);
  expect((await started.exited).code, started.stderr).toBe(0);
  return started.stdout;
}

test('the code on the page is one program, which prints the output on the page', async () => {
  const code = Array.from(page.matchAll(/```ts\n(.*?)```/gs), ([, text]) => text).join('\n');
  const printed = await run(code);
  const told = Array.from(page.matchAll(/```\n```\n(.*?)```/gs), ([, text = '']) => text);
  expect(told.length).toBeGreaterThan(3);
  for (const text of told) expect(printed).toContain(text);
  expect(printed).toContain('got one\ngot two\nsucceeded\n');
});

test('examples/agent-loop.ts runs to its end', async () => {
  const printed = await run(readFileSync(join(ROOT, 'examples/agent-loop.ts'), 'utf8'), 'dm-test');
  const lines = [
    'attempt 1: failed: expected 42, got 13',
    'attempt 2: succeeded: 42 is right',
    'saved report.txt: 12 bytes',
  ];
  expect(printed.trim().split('\n')).toEqual(lines);
  expect(readFileSync(join(dir, 'report.txt'), 'utf8')).toBe('42 is right\n');
});
