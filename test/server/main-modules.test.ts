/** The modules that a server with default settings loads. Each module costs memory and time at the start. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/directories.ts';
import { ServerUnderTest } from '../helpers/harness.ts';

const RECORDER = fileURLToPath(new URL('../fixtures/loaded-modules.mjs', import.meta.url));
/** Packages of features that are off by default: traces, sign-in by name, MCP, PostgreSQL. */
const OFF = [
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/sdk-trace',
  'openid-client',
  '@modelcontextprotocol/sdk',
  'zod',
  'pg',
];
/** The limit for files of the server and of the CLI that starts it: 6 now, 1020 before they were bundled. */
const MAX_OWN_MODULES = 20;

test('a server with default settings loads few files of its own, and none of a feature that is off', async () => {
  const dir = temporaryDirectory('modules');
  const file = join(dir, 'modules');
  const server = await ServerUnderTest.start(dir, { NODE_OPTIONS: `--import ${RECORDER}`, LOADED_MODULES: file });
  expect((await fetch(`${server.url}/openapi.json`)).status).toBe(200);
  await server.stop();
  const modules = readFileSync(file, 'utf8').split('\n');
  const packages = new Set(modules.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []));
  expect([...packages]).toContain('fastify');
  expect(OFF.filter((name) => packages.has(name))).toEqual([]);
  const own = modules.filter((url) => url.startsWith('file:') && !url.includes('/node_modules/'));
  expect(own.length).toBeGreaterThan(1);
  expect(own.length).toBeLessThan(MAX_OWN_MODULES);
});
