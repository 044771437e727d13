/** Checks each limit of the API with values at and beyond it. Requests beyond a limit must not affect others. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { CLOSE } from '../../src/core/protocol.ts';
import { runningServer } from '../helpers/running-server.ts';
import { HELLO, ScriptedAgent } from '../helpers/scripted-agent.ts';
import { ADMIN_KEY, httpFixture, MACHINE } from '../server/http/http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

/** A JSON text of exactly this many bytes. */
function bodyOf(bytes: number): string {
  const rest = JSON.stringify({ command: ['true'], stdin: '' }).length;
  return JSON.stringify({ command: ['true'], stdin: 'x'.repeat(bytes - rest) });
}

/** Objects nested this deep; the body itself is the first. */
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

test.each<[string, Record<string, string>, unknown, unknown, number]>([
  ['bytes of the body', { maxBodyBytes: '2048' }, bodyOf(2048), bodyOf(2049), 413],
  ['elements of a command', { maxArgs: '3' }, { command: ['a', 'b', 'c'] }, { command: ['a', 'b', 'c', 'd'] }, 422],
  [
    'bytes of a command, with terminators and in UTF-8',
    { maxArgsBytes: '1024' },
    { command: ['a', 'é'.repeat(510), ''] },
    { command: ['a', 'é'.repeat(510), '', ''] },
    422,
  ],
  [
    'environment variables',
    { maxEnv: '1' },
    { command: ['a'], env: { A: '' } },
    { command: ['a'], env: { A: '', B: '' } },
    422,
  ],
  [
    'bytes of the environment, with = and terminators',
    { maxEnvBytes: '8' },
    { command: ['a'], env: { AB: 'cdef' } },
    { command: ['a'], env: { AB: 'cdefg' } },
    422,
  ],
])('a request is accepted within the limit and refused above it: %s', async (_name, config, within, past, status) => {
  await using http = await httpFixture({ config });
  expect((await http.call('POST', EXECUTIONS, { body: within })).status).toBe(200);
  const refused = await http.call('POST', EXECUTIONS, { body: past });
  expect(refused.status).toBe(status);
  expect(JSON.stringify(refused.body)).not.toContain('cdefg');
  expect(http.created).toHaveLength(1);
});

test('the nesting of a body is limited, also if no schema applies to it', async () => {
  await using http = await httpFixture({ config: { maxJsonDepth: '5' } });
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
  const path = `${EXECUTIONS}/none`;
  expect((await http.call('DELETE', path, { body: nested(5), headers })).status).toBe(404);
  expect((await http.call('DELETE', path, { body: nested(6), headers })).status).toBe(400);
  expect((await http.call('POST', EXECUTIONS, { body: nested(5) })).status).toBe(422);
  expect((await http.call('POST', EXECUTIONS, { body: nested(6) })).status).toBe(400);
  const brackets = { command: ['true'], stdin: '[{"\\'.repeat(20) };
  expect((await http.call('POST', EXECUTIONS, { body: brackets })).status).toBe(200);
});

test('a body of only brackets is refused before it is parsed', async () => {
  await using http = await httpFixture();
  const parse = vi.spyOn(JSON, 'parse');
  const body = '['.repeat(8_000_000) + ']'.repeat(8_000_000);
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };
  const answer = await http.app.inject({ method: 'POST', url: EXECUTIONS, headers, payload: body });
  expect(answer.statusCode).toBe(400);
  expect(parse).not.toHaveBeenCalled();
});

test('a request without a key must be small', async () => {
  await using server = await runningServer();
  const enrol = (padding: number) => {
    const body = { join_token: 'x'.repeat(padding), credential: `xpa_${'a'.repeat(43)}` };
    return server.client.with(undefined).request('POST', '/agent/v1/enrol', { body });
  };
  expect((await enrol(200)).status).toBe(401);
  expect((await enrol(16 * 1024)).status).toBe(413);
});

test('the creates of one key per second are limited if a limit is set', async () => {
  let now = Date.now();
  await using http = await httpFixture({ config: { maxCreatesPerSecond: '2' }, now: () => now });
  const create = (key?: string) =>
    http.call('POST', EXECUTIONS, { body: { command: ['true'] }, ...(key === undefined ? {} : { key }) });
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'k', scopes: ['executions:write'] } });
  expect([(await create()).status, (await create()).status]).toEqual([200, 200]);
  const refused = await create();
  expect(refused).toMatchObject({ status: 429, body: { error_code: 'RATE_LIMITED', retryable: true } });
  expect(Number(refused.headers['retry-after-ms'])).toBeGreaterThan(0);
  expect((await create(made.body['key'] as string)).status).toBe(200);
  now += Number(refused.headers['retry-after-ms']);
  expect((await create()).status).toBe(200);
});

test('the open streams and waits of one key are limited', async () => {
  await using http = await httpFixture({ config: { maxStreamsPerKey: '1' } });
  const executionId = await http.create();
  const wait = () => http.call('GET', `${EXECUTIONS}/${executionId}?wait_ms=55000`);
  const first = wait();
  expect((await wait()).status).toBe(429);
  await http.start(executionId);
  await http.finish(executionId);
  expect((await first).status).toBe(200);
  expect((await wait()).status).toBe(200);
});

test('the waiting executions of one machine are limited', async () => {
  await using server = await runningServer({ maxQueue: '2' });
  await server.machine('dm-one');
  await server.machine('dm-two');
  const create = (machineId: string) =>
    server.client.request('POST', `/v1/machines/${machineId}/executions`, { body: { command: ['true'] } });
  expect([(await create('dm-one')).status, (await create('dm-one')).status]).toEqual([200, 200]);
  expect(await create('dm-one')).toMatchObject({ status: 429, json: { error_code: 'RATE_LIMITED' } });
  expect((await create('dm-two')).status).toBe(200);
});

test('the bytes of the request head are limited', async () => {
  await using server = await runningServer({ maxHeaderBytes: '1024' });
  const get = (bytes: number) => server.client.get('/healthz', {}, { 'x-long': 'x'.repeat(bytes) });
  expect((await get(500)).status).toBe(200);
  expect((await get(1100)).status).toBe(431);
});

test.each<[string, Record<string, string>, string]>([
  ['head', { headersTimeoutMs: '150' }, 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: '],
  [
    'body',
    { headersTimeoutMs: '150', requestTimeoutMs: '200' },
    `POST ${EXECUTIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  ],
])('a client that never finishes its %s gets an answer and is disconnected', async (part, settings, begun) => {
  await using server = await runningServer(settings);
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  const head = part === 'body' ? begun.replace('Host: x', `Host: x\r\nx-api-key: ${server.client.key}`) : begun;
  socket.write(head);
  await once(socket, 'close');
  expect(answer).toMatch(/^HTTP\/1.1 408 /);
  expect(answer).toContain('content-type: application/problem+json');
  expect((await server.client.get('/healthz')).status).toBe(200);
});

test('the bytes of a frame are limited', async () => {
  await using server = await runningServer({ maxFrameBytes: String(1024 * 1024) });
  const hello = JSON.stringify({ ...HELLO, clock_ms: Date.now(), pad: '' });
  const padded = (bytes: number) => hello.replace('"pad":""', `"pad":"${'x'.repeat(bytes - hello.length)}"`);
  const credential = await server.machine('dm-one');
  const agent = await ScriptedAgent.open(server.url, credential);
  agent.ws.send(padded(1024 * 1024));
  await agent.next('welcome');
  agent.ws.send(padded(1024 * 1024 + 1));
  expect((await agent.closed).code).toBe(CLOSE.tooLarge);
});

test('a frame of only brackets is refused before it is parsed', async () => {
  await using server = await runningServer();
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-one'));
  const parse = vi.spyOn(JSON, 'parse');
  // The message is small enough for a control frame; a larger frame would be refused earlier.
  agent.ws.send('['.repeat(30_000) + ']'.repeat(30_000));
  expect(await agent.closed).toMatchObject({ code: CLOSE.badFrame, reason: 'nested too deep' });
  expect(parse.mock.calls.filter(([text]) => text.startsWith('[['))).toEqual([]);
});

test('frames per second are limited, with bursts of twice as many', async () => {
  await using server = await runningServer({ maxFramesPerSecond: '10' });
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-one'));
  for (let sent = 1; sent < 20; sent += 1) agent.send({ type: 'capacity', accepting: true });
  const { execution_id: id } = await server.client.machine('dm-one').create({ command: ['true'] });
  await agent.runNext();
  expect((await server.client.machine('dm-one').ended(id)).status).toBe('succeeded');
  for (let sent = 0; sent < 60; sent += 1) agent.send({ type: 'capacity', accepting: true });
  expect((await agent.closed).code).toBe(CLOSE.tooManyFrames);
});

test('the bytes of unfinished bodies are limited, for one key and in total', async () => {
  await using http = await httpFixture({ config: { maxBodyBytes: '1024', maxBodiesBytes: '3000' } });
  const url = await http.listen();
  const key = async () => {
    const made = await http.call('POST', '/v1/api-keys', { body: { name: 'k', scopes: ['executions:write'] } });
    return String(made.body['key']);
  };
  const keys = [await key(), await key(), await key()] as const;
  const open: UnfinishedBody[] = [];
  const begin = (at: 0 | 1 | 2) => {
    const body = new UnfinishedBody(url, keys[at]);
    open.push(body);
    return body;
  };
  await begin(0).taken();
  await begin(0).refused(429);
  await begin(1).taken();
  await begin(2).taken();
  await begin(1).refused(429);
  const small = await http.call('POST', EXECUTIONS, { body: { command: ['true'] } });
  expect(small).toMatchObject({ status: 503, body: { error_code: 'DEPENDENCY_UNAVAILABLE', retryable: true } });
  open[0]?.hangUp();
  await expect
    .poll(async () => (await http.call('POST', EXECUTIONS, { body: { command: ['true'] } })).status)
    .toBe(200);
  for (const body of open) body.hangUp();
});

/** A create of 1,024 bytes, 1,000 of which have been sent. */
class UnfinishedBody {
  readonly #socket: Socket;
  #heard = '';

  constructor(url: string, key: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.on('data', (chunk: Buffer) => {
      this.#heard += chunk.toString();
    });
    this.#socket.write(
      `POST ${EXECUTIONS} HTTP/1.1\r\nHost: x\r\nx-api-key: ${key}\r\nContent-Type: application/json\r\n` +
        `Content-Length: 1024\r\nExpect: 100-continue\r\n\r\n${'x'.repeat(1000)}`,
    );
  }

  /** Waits until the server has read the headers and the bytes sent with them. */
  async taken(): Promise<void> {
    await expect.poll(() => this.#heard).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  }

  async refused(status: number): Promise<void> {
    await expect.poll(() => this.#heard).toContain(`\r\n\r\nHTTP/1.1 ${status} `);
  }

  hangUp(): void {
    this.#socket.destroy();
  }
}

test('the bytes of waiting requests are limited, for one key and for all machines', async () => {
  await using server = await runningServer({ maxQueuedBytesPerKey: '3500', maxQueuedBytes: '2500' });
  for (const machineId of ['dm-one', 'dm-two']) await server.machine(machineId);
  const key = async (name: string) =>
    (await server.client.ask<{ key: string }>('POST', '/v1/api-keys', { body: { name, scopes: ['executions:write'] } }))
      .key;
  const [limited, other] = [server.client.with(await key('limited')), server.client.with(await key('other'))];
  const body = { command: ['echo', 'x'.repeat(990)] };
  const create = async (client: typeof limited, machineId: string) => {
    const { status, json } = await client.request('POST', `/v1/machines/${machineId}/executions`, { body });
    return status === 200 ? 200 : `${status} ${(json as { message: string }).message}`;
  };
  expect([await create(limited, 'dm-one'), await create(limited, 'dm-one')]).toEqual([200, 200]);
  expect(await create(limited, 'dm-one')).toBe(
    '429 Too many executions wait for this machine (EXECPLANE_MAX_QUEUE). Try again later.',
  );
  // The quota of the key does not count the refused request, as the next create shows.
  expect(await create(limited, 'dm-two')).toBe(200);
  expect(await create(limited, 'dm-two')).toBe(
    '429 The waiting requests of this API key are too large together (EXECPLANE_MAX_QUEUED_BYTES_PER_KEY). Try again later.',
  );
  expect(await create(other, 'dm-two')).toBe(200);
});
