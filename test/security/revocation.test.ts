/** A revoked key has no effect any more, not even in requests whose body is still arriving, in streams and in waits. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type HttpFixture, type FixtureOptions, httpFixture, MACHINE } from '../server/http/http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

interface Key {
  key: string;
  id: string;
}

async function newKey(http: HttpFixture, scopes: string[], lifeMs?: number): Promise<Key> {
  const life = lifeMs === undefined ? {} : { expires_in_ms: lifeMs };
  const { body } = await http.call('POST', '/v1/api-keys', { body: { name: 'k', scopes, ...life } });
  return { key: String(body['key']), id: String(body['api_key_id']) };
}

/** A POST whose head the server has read (it answered 100) and whose body is still to be sent. */
async function begun(http: HttpFixture, path: string, key: string, body: string, type = 'application/json') {
  const url = new URL(await http.listen());
  const socket = connect(Number(url.port), url.hostname);
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nx-api-key: ${key}\r\nContent-Type: ${type}\r\n` +
      `Content-Length: ${body.length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
  );
  const [head] = await once(socket, 'data');
  expect(String(head)).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  return { finish: () => answer(socket, body) };
}

async function answer(socket: Socket, body: string): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write(body);
  await once(socket, 'close');
  return text;
}

const ACTS = [
  ['runs a command', EXECUTIONS, '{"command":["true"]}', 'application/json'],
  ['makes an admin key', '/v1/api-keys', '{"name":"more","scopes":["admin"]}', 'application/json'],
  ['makes a join token', '/v1/join-tokens', '{}', 'application/json'],
] as const;

describe.each(ACTS)('a request whose key is revoked or expires between its head and its body never %s', (...act) => {
  const [, path, body, type] = act;

  test.each<[string, (http: HttpFixture, key: Key, clock: { now: number }) => Promise<unknown>]>([
    ['revoked', (http, { id }) => http.call('DELETE', `/v1/api-keys/${id}`)],
    ['expired', async (_http, _key, clock) => (clock.now += 60_000)],
  ])('%s', async (_name, end) => {
    const clock = { now: Date.now() };
    await using http = await httpFixture({ now: () => clock.now } satisfies FixtureOptions);
    const key = await newKey(http, ['admin'], 60_000);
    const request = await begun(http, path, key.key, body, type);
    await end(http, key, clock);
    expect(await request.finish()).toMatch(/^HTTP\/1\.1 401 /);
    expect(http.created).toStrictEqual([]);
    const keys = await http.call('GET', '/v1/api-keys');
    expect(keys.body.items.filter(({ name }) => name === 'more')).toStrictEqual([]);
    expect((await http.call('GET', '/v1/join-tokens')).body.items).toStrictEqual([]);
  });
});

test('bytes of stdin that arrive after their key was revoked are not written', async () => {
  await using http = await httpFixture();
  const executionId = await http.create({ command: ['cat'], stdin_open: true });
  await http.start(executionId);
  const written: string[] = [];
  http.control.writeStdin = async ({ bytes }) => {
    written.push(bytes.toString());
    return { outcome: 'written', offset: bytes.length, closed: false };
  };
  const { key, id } = await newKey(http, ['executions:write']);
  const path = `${EXECUTIONS}/${executionId}/stdin`;
  const request = await begun(http, path, key, 'rm -rf', 'application/octet-stream');
  await http.call('DELETE', `/v1/api-keys/${id}`);
  expect(await request.finish()).toMatch(/^HTTP\/1\.1 401 /);
  expect(written).toStrictEqual([]);
});

test('a key that another server revoked loses its streams and waits within seconds', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const executionId = await http.create();
  const { key, id } = await newKey(http, ['executions:read']);
  const headers = { 'x-api-key': key };
  const path = `${url}${EXECUTIONS}/${executionId}`;
  const stream = await fetch(`${path}/output/stdout?follow=true`, { headers });
  const waiting = fetch(`${path}?wait_ms=55000`, { headers });
  await expect.poll(async () => (await http.call('GET', '/metrics')).raw.toString()).toMatch(/open_requests 2\n/);
  await http.store.revokeApiKey({ apiKeyId: id, now: Date.now() });
  expect((await waiting).status).toBe(401);
  await expect(stream.text()).rejects.toThrow();
});

test.each<[string, (path: string) => [method: 'POST' | 'DELETE', path: string, body: unknown]]>([
  ['a create', () => ['POST', EXECUTIONS, { command: ['true'] }]],
  ['a cancel', (path) => ['DELETE', path, undefined]],
  ['a new key', () => ['POST', '/v1/api-keys', { name: 'more', scopes: ['admin'] }]],
  ['a new join token', () => ['POST', '/v1/join-tokens', {}]],
  ['the removal of a machine', () => ['DELETE', `/v1/machines/${MACHINE}`, undefined]],
])(
  '%s is refused in its transaction if another server has revoked the key since it was looked up',
  async (_name, request) => {
    await using http = await httpFixture();
    const path = `${EXECUTIONS}/${await http.create()}`;
    const { key, id } = await newKey(http, ['admin']);
    // Another server revokes the key. This server caches it for a short time.
    expect((await http.call('GET', '/v1/machines', { key })).status).toBe(200);
    await http.store.revokeApiKey({ apiKeyId: id, now: Date.now() });
    const [method, at, body] = request(path);
    const headers = { 'idempotency-key': 'once' };
    expect((await http.call(method, at, { key, headers, ...(body === undefined ? {} : { body }) })).status).toBe(401);
    expect((await http.call('GET', path)).body['status']).toBe('queued');
    expect((await http.call('GET', '/v1/api-keys')).body.items).toHaveLength(0);
    expect((await http.call('GET', '/v1/join-tokens')).body.items).toHaveLength(0);
  },
);
