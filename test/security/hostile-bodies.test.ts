/** Bodies that try to block the event loop. None may cost much more than parsing a valid body of the same size. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import type { OpenApiDocument } from '../../src/server/http/documents/openapi.ts';
import { temporaryDirectory } from '../helpers/directories.ts';
import { ADMIN_KEY, type HttpFixture, httpFixture, MACHINE } from '../server/http/http-fixture.ts';

const MIB = 1024 * 1024;
const BYTES = 16 * MIB - 64;
const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

/** `part` repeated up to 16 MiB; each `#` in it becomes a number. */
function filled(before: string, part: (index: number) => string, after: string): Buffer {
  const parts: string[] = [];
  for (let bytes = before.length + after.length, index = 0; ; index += 1) {
    const next = part(index);
    bytes += next.length + 1;
    if (bytes > BYTES) return Buffer.from(`${before}${parts.join(',')}${after}`);
    parts.push(next);
  }
}

/** A create with the maximum number of elements and members, all of them valid. */
const RIGHT = Buffer.from(
  JSON.stringify({ command: Array.from({ length: 262_144 }, () => 'a'.repeat(20)), stdin: 'x'.repeat(9 * MIB) }),
);

const HOSTILE: readonly (readonly [string, string, () => Buffer, number])[] = [
  ['unknown fields', EXECUTIONS, () => filled('{"command":["a"],', (i) => `"k${i}":1`, '}'), 422],
  ['as many unknown fields as are parsed', EXECUTIONS, () => Buffer.from(`{${numbered(20_000)}}`), 422],
  ['numbers in command', EXECUTIONS, () => filled('{"command":[', () => '1', ']}'), 422],
  [
    'as many numbers in command as are parsed',
    EXECUTIONS,
    () => Buffer.from(`{"command":[${'1,'.repeat(270_000)}1]}`),
    422,
  ],
  ['empty objects in command', EXECUTIONS, () => Buffer.from(`{"command":[${'{},'.repeat(270_000)}{}]}`), 422],
  ['wrong values in env', EXECUTIONS, () => Buffer.from(`{"command":["a"],"env":{${numbered(20_000)}}}`), 422],
  ['one name of 16 MiB', EXECUTIONS, () => Buffer.from(`{"${'k'.repeat(BYTES - 10)}":1}`), 422],
  ['lone surrogates', EXECUTIONS, () => Buffer.from(`{"command":[${'"\\ud800",'.repeat(260_000)}"a"]}`), 422],
  ['escaped quotes', EXECUTIONS, () => Buffer.from(`{"command":[""],"stdin":"${'\\"'.repeat(BYTES / 2 - 32)}"}`), 422],
  ['spaces', EXECUTIONS, () => Buffer.from(`{"command":[""]${' '.repeat(BYTES - 20)}}`), 422],
  [
    'a number of 16 MiB',
    EXECUTIONS,
    () => Buffer.from(`{"command":["a"],"timeout_ms":${'1'.repeat(BYTES - 40)}}`),
    422,
  ],
  [
    'as many numbers as long as they may be',
    EXECUTIONS,
    () => Buffer.from(`{"command":[${`9.${'7'.repeat(38)},`.repeat(260_000)}1]}`),
    422,
  ],
  ['brackets', EXECUTIONS, () => Buffer.from('['.repeat(BYTES)), 400],
  ['scopes', '/v1/api-keys', () => Buffer.from(`{"name":"a","scopes":[${'"admin",'.repeat(260_000)}"admin"]}`), 422],
  [
    'machine ids',
    '/v1/api-keys',
    () => filled('{"name":"a","scopes":["admin"],"machine_ids":[', () => '"dm-a"', ']}'),
    422,
  ],
];

function numbered(count: number): string {
  return Array.from({ length: count }, (_, index) => `"k${index}":1`).join();
}

/** Waits until the histogram has counted more delays. It counts none before its second tick, and a stall only after the stall. */
async function ticked(delay: ReturnType<typeof monitorEventLoopDelay>): Promise<void> {
  const before = delay.count;
  while (delay.count < before + 2) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** The longest stall of the event loop during a request to `path` with `payload`, in ms, and the status. */
async function stallOf(http: HttpFixture, path: string, payload: Buffer, method: 'POST' | 'PUT' | 'PATCH' = 'POST') {
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await ticked(delay);
  const answer = await http.app.inject({ method, url: path, headers, payload });
  await ticked(delay);
  delay.disable();
  return { status: answer.statusCode, bytes: answer.rawPayload.length, ms: delay.max / 1e6 };
}

/** The time to parse the largest valid body, ms: the reference for this machine. */
function parsing(): number {
  const before = performance.now();
  JSON.parse(RIGHT.toString());
  return performance.now() - before;
}

/** The time to parse a body and flush as many bytes to the disk, ms: the minimum for a create. */
function parsingAndFlushing(directory: string): number {
  const parsed = parsing();
  const before = performance.now();
  writeFileSync(join(directory, 'as-large'), RIGHT, { flush: true });
  return parsed + performance.now() - before;
}

/** Repeats the measurement until one round is below the limit, since other processes on a busy machine interrupt most rounds. */
const ROUNDS = 10;

async function expectRatio(name: string, limit: number, round: () => Promise<number>): Promise<void> {
  const ratios: number[] = [];
  while (ratios.length < ROUNDS && !ratios.some((ratio) => ratio < limit)) ratios.push(await round());
  expect(Math.min(...ratios), `${name}: ${ratios}`).toBeLessThan(limit);
}

test('no body blocks the server for much longer than parsing a valid body of that size', async () => {
  await using http = await httpFixture();
  // A first request, so that the code is compiled.
  expect((await stallOf(http, EXECUTIONS, RIGHT)).status).toBe(200);
  for (const [name, path, body, status] of HOSTILE) {
    const payload = body();
    await expectRatio(name, 4, async () => {
      const measure = parsing();
      const stall = await stallOf(http, path, payload);
      expect(stall.status, name).toBe(status);
      expect(stall.bytes, name).toBeLessThan(256 * 1024);
      return stall.ms / measure;
    });
  }
});

interface BodySchema {
  $ref?: string;
  properties?: Record<string, { type?: string }>;
}
interface Operation {
  requestBody?: { content: Record<string, { schema: BodySchema } | undefined> };
}

/** The method, the path and the names of the text fields of each route with a JSON body. */
function routesWithBody(
  document: OpenApiDocument,
): { method: 'POST' | 'PUT' | 'PATCH'; path: string; texts: string[] }[] {
  const schemas = document.components.schemas as Record<string, BodySchema>;
  return Object.entries(document.paths).flatMap(([template, operations]) =>
    (['POST', 'PUT', 'PATCH'] as const).flatMap((method) => {
      const operation = operations[method.toLowerCase()] as Operation | undefined;
      const found = operation?.requestBody?.content['application/json']?.schema;
      if (found === undefined) return [];
      const schema = found.$ref === undefined ? found : schemas[found.$ref.split('/').at(-1) ?? ''];
      const fields = Object.entries(schema?.properties ?? {});
      const texts = fields.filter(([, { type }]) => type === 'string').map(([name]) => name);
      return [{ method, path: template.replace('{machine_id}', MACHINE).replace(/\{\w+\}/g, 'x'), texts }];
    }),
  );
}

test('every route with a body refuses hostile shapes as fast', async () => {
  await using http = await httpFixture();
  const routes = routesWithBody(JSON.parse((await http.app.inject('/openapi.json')).body) as OpenApiDocument);
  expect(routes.length).toBeGreaterThan(12);
  const unknown = Buffer.from(`{${numbered(20_000)}}`);
  const nested = Buffer.from(`{"labels":${'['.repeat(BYTES / 2)}`);
  for (const { method, path, texts } of routes) {
    // Digits, and then what no field permits: a pattern that backtracks would take its time.
    const long = JSON.stringify(Object.fromEntries(texts.map((name) => [name, `${'1'.repeat(MIB)}!`])));
    for (const payload of [unknown, nested, Buffer.from(long)]) {
      await expectRatio(`${method} ${path}`, 4, async () => {
        const measure = parsing();
        const stall = await stallOf(http, path, payload, method);
        expect(Math.floor(stall.status / 100), `${method} ${path}: ${stall.status}`).toBe(4);
        return stall.ms / measure;
      });
    }
  }
});

test('no pattern of a schema backtracks over a long text', async () => {
  await using http = await httpFixture();
  const document = (await http.app.inject('/openapi.json')).body;
  const patterns = new Set(
    [...document.matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(([, text]) => JSON.parse(text ?? '""')),
  );
  expect(patterns.size).toBeGreaterThan(8);
  const texts = ['0', 'a', '1', '-', '.', '/', 'a-', '1w', '0w'].flatMap((part) => {
    const long = part.repeat(100_000 / part.length);
    return [long, `${long}!`, `dm-${long}!`, `a${long}=`];
  });
  const before = performance.now();
  for (const pattern of patterns) for (const text of texts) new RegExp(pattern, 'u').test(text);
  // A pattern whose cost grows with the square of the length takes minutes.
  expect(performance.now() - before).toBeLessThan(20_000);
});

test.each([
  ['the maximum number of arguments, and 9 MiB of stdin', RIGHT],
  ['15 MiB of stdin', Buffer.from(`{"command":["a"],"stdin":"${'x'.repeat(15 * MIB)}"}`)],
])('a valid body is processed in steps: %s', async (name, body) => {
  await using http = await httpFixture();
  const directory = temporaryDirectory('flushed');
  await stallOf(http, EXECUTIONS, body);
  await expectRatio(name, 2.5, async () => {
    const measure = parsingAndFlushing(directory);
    const stall = await stallOf(http, EXECUTIONS, body);
    expect(stall.status).toBe(200);
    return stall.ms / measure;
  });
});

test('a number that is longer than any field needs is refused before it is parsed', async () => {
  await using http = await httpFixture();
  const create = (number: string) =>
    http.call('POST', EXECUTIONS, { body: `{"command":["a"],"timeout_ms":${number}}` });
  expect((await create(`1${'0'.repeat(4)}.${'0'.repeat(34)}`)).status).toBe(200);
  const refused = await create(`1${'0'.repeat(4)}.${'0'.repeat(35)}`);
  expect([refused.status, refused.body.errors]).toEqual([
    422,
    [{ location: 'body', message: 'must not contain a number of more than 40 digits' }],
  ]);
});

test('a 422 lists at most a hundred fields', async () => {
  await using http = await httpFixture();
  const body = `{"command":[${'1,'.repeat(500)}1],${numbered(500)}}`;
  const refused = await http.call('POST', EXECUTIONS, { body });
  expect(refused.body.errors).toHaveLength(100);
  expect(refused.body.errors[99]?.location).toBe('body.command[99]');
});
