import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { StoreUnavailableError } from '../../../../src/store/store.ts';
import { ADMIN_KEY, httpFixture, MACHINE } from '../http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

test.each([
  ['GET', '/v1/nothing'],
  ['GET', '/nothing'],
  ['PUT', '/v1/machines'],
  ['PUT', `/v1/machines/${MACHINE}`],
  ['OPTIONS', '/v1/machines'],
  ['GET', '/v1/machines/'],
  ['GET', '/v1/machines/dm-absent'],
  ['GET', '/v1/machines/dm-absent/executions'],
  ['GET', '/v1/machines/not-a-machine-id'],
  ['GET', '/v1/machines/dm-UPPER'],
  ['GET', `/v1/machines/dm-${'a'.repeat(251)}`],
  ['GET', `/v1/machines/dm-${'a'.repeat(2000)}`],
  ['GET', '/v1/machines/%zz'],
  ['GET', '/v1/machines/%2e%2e%2f%2e%2e%2fetc%2fpasswd'],
  ['GET', `${EXECUTIONS}/..%2f..%2fetc`],
  ['GET', `${EXECUTIONS}/-starts-with-a-dash`],
  ['GET', `${EXECUTIONS}/unknown`],
  ['GET', `${EXECUTIONS}/unknown/artifacts`],
  ['DELETE', `${EXECUTIONS}/unknown`],
] as const)('%s %s is a 404 problem', async (method, path) => {
  await using http = await httpFixture();
  const answer = await http.call(method, path);
  expect(answer.status).toBe(404);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.headers['x-should-retry']).toBe('false');
  expect(answer.body).toStrictEqual({
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    detail: expect.any(String),
    instance: expect.stringMatching(/^urn:execplane:request:req-/),
  });
  expect(URL.canParse(String(answer.body['instance']))).toBe(true);
  expect(answer.headers['x-request-id']).toBe(String(answer.body['instance']).split(':').at(-1));
});

test('a wrong method gets 404 whatever its body is', async () => {
  await using http = await httpFixture();
  const answer = await http.call('PUT', EXECUTIONS, { body: '<x/>', headers: { 'content-type': 'text/xml' } });
  expect(answer.status).toBe(404);
});

test.each([
  ['not JSON', '{"command": [', 'application/json', 400],
  ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'application/json', 400],
  ['nested 10,000 deep', `{"command":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'application/json', 400],
  ['another media type', 'command=true', 'application/x-www-form-urlencoded', 415],
  ['a media type with a charset', '{"command":["true"]}', 'application/json; charset=utf-8', 200],
  ['nothing', '', 'application/json', 422],
  ['a list', '[]', 'application/json', 422],
  ['17 MB', `{"command":["${'x'.repeat(17_000_000)}"]}`, 'application/json', 413],
])('the error for a body that is %s', async (_name, body: string | Buffer, type, status) => {
  await using http = await httpFixture();
  const answer = await http.call('POST', EXECUTIONS, { body, headers: { 'content-type': type } });
  expect(answer.status).toBe(status);
  if (status !== 200) expect(answer.body).toMatchObject({ type: 'about:blank', status });
});

test('a body of 17 MB without a length is refused as well', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const piece = new Uint8Array(1_000_000).fill(0x20);
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      sent += 1;
      if (sent > 17) controller.close();
      else controller.enqueue(piece);
    },
  });
  const headers = { 'x-api-key': 'xpk_the-admin-key-of-these-tests', 'content-type': 'application/json' };
  const answer = await fetch(`${url}${EXECUTIONS}`, { method: 'POST', headers, body, duplex: 'half' });
  expect(answer.status).toBe(413);
});

test('an internal error reveals nothing internal, may be retried, and is logged once with its request id', async () => {
  await using http = await httpFixture({
    store: (store) => ({ ...store, getMachine: () => Promise.reject(new Error('secret path /var/lib/x')) }),
  });
  const answer = await http.call('GET', `/v1/machines/${MACHINE}`);
  expect(answer.status).toBe(500);
  expect(answer.raw.toString()).not.toContain('secret');
  expect(answer.headers).toMatchObject({ 'x-should-retry': 'true', 'retry-after-ms': '1000', 'retry-after': '1' });
  const logged = http.log.filter((line) => line.includes('request failed'));
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain(String(answer.headers['x-request-id']));
});

test('a store that cannot be written gets 503, which may be retried', async () => {
  await using http = await httpFixture({
    store: (store) => ({
      ...store,
      getMachine: () => Promise.reject(new StoreUnavailableError('disk full')),
      checkWritable: () => Promise.reject(new StoreUnavailableError('disk full')),
    }),
  });
  for (const path of [`/v1/machines/${MACHINE}`, '/readyz']) {
    const answer = await http.call('GET', path);
    expect(answer.status).toBe(503);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.headers['retry-after-ms']).toBe('1000');
    expect(answer.body).toStrictEqual({
      error_code: 'DEPENDENCY_UNAVAILABLE',
      message: expect.any(String),
      retryable: true,
      retry_after_ms: 1000,
    });
  }
  expect((await http.call('GET', '/healthz')).status).toBe(200);
});

test('every answer has a request id of its own', async () => {
  await using http = await httpFixture();
  const ids = new Set<unknown>();
  for (const path of ['/healthz', '/v1/machines', '/v1/nothing', '/openapi.json', '/v1/machines/%zz']) {
    ids.add((await http.call('GET', path)).headers['x-request-id']);
  }
  ids.delete(undefined);
  expect(ids.size).toBe(5);
});

test('HEAD answers like GET, without the body', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  await http.report(executionId, { kind: 'stdout', payload: 'hello' });
  for (const path of ['/v1/machines', `${EXECUTIONS}/${executionId}`, `${EXECUTIONS}/${executionId}/output/stdout`]) {
    const got = await http.call('GET', path);
    const head = await http.call('HEAD', path);
    expect([head.status, head.raw.length]).toStrictEqual([200, 0]);
    expect(head.headers['content-length']).toBe(String(got.raw.length));
  }
  const followed = await http.call('HEAD', `${EXECUTIONS}/${executionId}/output/stdout?follow=true`);
  expect([followed.status, followed.raw.length]).toStrictEqual([200, 0]);
});

test('a byte order mark before the JSON is skipped', async () => {
  await using http = await httpFixture();
  const body = Buffer.from('\ufeff{"command":["true"]}');
  expect((await http.call('POST', EXECUTIONS, { body })).status).toBe(200);
  expect((await http.call('POST', EXECUTIONS, { body: Buffer.from('\ufeff\ufeff{}') })).status).toBe(400);
});

test.each(['gzip', 'br', 'x-unknown'])('a body with Content-Encoding %s gets 415', async (coding) => {
  await using http = await httpFixture();
  const headers = { 'content-encoding': coding };
  const refused = await http.call('POST', EXECUTIONS, { body: { command: ['true'] }, headers });
  expect(refused.status).toBe(415);
  expect(refused.headers['accept-encoding']).toBe('identity');
  expect((await http.call('GET', EXECUTIONS, { headers })).status).toBe(200);
  const plain = { 'content-encoding': 'identity' };
  expect((await http.call('POST', EXECUTIONS, { body: { command: ['true'] }, headers: plain })).status).toBe(200);
});

test.each([
  ['1.1', ADMIN_KEY, 'application/json', 413],
  ['1.0', ADMIN_KEY, 'application/json', 413],
  ['1.1', ADMIN_KEY, 'text/plain', 415],
  ['1.1', 'xpk_wrong', 'application/json', 401],
])(
  'a client of HTTP/%s that closes its connection and sends 17 MB with the key %s as %s gets the %i',
  async (version, key, type, status) => {
    await using http = await httpFixture();
    const { hostname, port } = new URL(await http.listen());
    const socket = connect(Number(port), hostname);
    const received: Buffer[] = [];
    socket.on('data', (bytes) => received.push(bytes));
    const ended = once(socket, 'end');
    const body = Buffer.alloc(17_000_000, 0x20);
    const head = [
      `POST ${EXECUTIONS} HTTP/${version}`,
      'Host: x',
      'Connection: close',
      `x-api-key: ${key}`,
      `Content-Type: ${type}`,
      `Content-Length: ${body.length}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    socket.write(body);
    await ended;
    socket.destroy();
    const text = Buffer.concat(received).toString();
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  },
);
