/** Runs the lines of docs/api.md in order, compares their output with the page, and checks that the page covers all routes. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OpenApiDocument } from '../../src/server/http/documents/openapi.ts';
import type { JsonSchema } from '../../src/server/http/documents/schema-objects.ts';
import { baseEnv, Deployment } from '../helpers/harness.ts';
import { Started, until } from '../helpers/processes.ts';

const MARK = '--- the next block ---';
const page = readFileSync(join(import.meta.dirname, '../../docs/api.md'), 'utf8');
/** Each block of lines, and its output if the page shows one. */
const blocks = Array.from(page.matchAll(/^```sh\n(.*?)^```\n(?:```\n(.*?)^```\n)?/gms), ([, lines = '', printed]) => ({
  lines,
  printed,
}));

let deployment: Deployment;
let outputs: string[];

beforeAll(async () => {
  deployment = await Deployment.start({
    server: { EXECPLANE_ALLOW_PRIVATE_CALLBACKS: 'true' },
    agent: { EXECPLANE_LOG_LEVEL: 'warn' },
  });
  // One shell runs all blocks, so that later ones can use variables of earlier ones.
  const script = blocks.map(({ lines }) => `${lines}\necho '${MARK}'`).join('\n');
  const env = baseEnv({ EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key });
  const { stdout } = await promisify(execFile)('sh', ['-euc', script], { env, timeout: 120_000 });
  outputs = stdout.split(`${MARK}\n`);
});
afterAll(() => deployment.dispose());

test('every block runs', () => {
  expect(blocks.length).toBeGreaterThan(20);
  expect(outputs).toHaveLength(blocks.length + 1);
});

test.each(blocks.map((block, index) => ({ ...block, index })).filter(({ printed }) => printed !== undefined))(
  'each block prints what the page says: $lines',
  ({ printed = '', index }) => {
    // The option of curl in the example adds a blank line at the end.
    const anything = printed
      .trimEnd()
      .split('…')
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('[^]*');
    expect(outputs[index]?.trimEnd()).toMatch(new RegExp(`^${anything}$`));
  },
);

test('the example receiver accepts callbacks that the server has signed, and refuses others', async () => {
  const [, program = ''] = /^```js\n(.*?)^```$/ms.exec(page) ?? [];
  const secret = join(deployment.server.dataDir, 'webhook.secret');
  const file = join(deployment.dir, 'receiver.mjs');
  writeFileSync(file, program);
  const receiver = new Started(process.execPath, [file, secret, '0'], baseEnv());
  try {
    await until('the receiver listens', () => receiver.stdout.includes('\n'));
    const url = receiver.stdout.trim();
    const forged = {
      'webhook-id': 'a',
      'webhook-timestamp': String(Date.now() / 1000),
      'webhook-signature': 'v1,AAAA',
    };
    expect((await fetch(url, { method: 'POST', body: '{}', headers: forged })).status).toBe(401);
    const { execution_id: id } = await deployment.machine.run({ command: ['true'], callback_url: url });
    await until('the callback is taken', () => receiver.stdout.includes(`${id} succeeded`));
  } finally {
    await receiver.end('SIGTERM');
  }
});

test('the page names every route, parameter and field of a request', async () => {
  const document = await deployment.client.ask<OpenApiDocument>('GET', '/openapi.json');
  const missing: string[] = [];
  const look = (words: string): void => {
    if (!page.includes(words)) missing.push(words);
  };
  for (const [path, methods] of Object.entries(document.paths)) {
    // Between server and agents: docs/PROTOCOL.md.
    if (path.startsWith('/agent/')) continue;
    for (const [method, { parameters, requestBody }] of Object.entries(methods)) {
      look(`\`${method.toUpperCase()} ${path}\``);
      for (const parameter of parameters) if (parameter.in !== 'path') look(parameter.name);
      const { schema } = requestBody?.content['application/json'] ?? {};
      for (const field of fieldsOf(document, schema)) look(`\`${field}\``);
    }
  }
  // A body of one field, which the line shows.
  expect(missing).toEqual(['`signal`']);
});

function fieldsOf({ components }: OpenApiDocument, schema: JsonSchema | undefined): string[] {
  const name = String(schema?.['$ref'] ?? '').replace('#/components/schemas/', '');
  return Object.keys((components.schemas[name]?.['properties'] ?? {}) as object);
}
