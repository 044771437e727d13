import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { ADMIN_KEY, httpFixture, MACHINE } from '../http-fixture.ts';

async function exchange(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test.each([
  ['garbage', 'NOT HTTP\r\n\r\n', 400],
  ['an unknown method', 'BREW /v1/machines HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  ['headers that are too large', `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
  ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ['two Hosts', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n', 400],
  [
    'two Authorizations',
    `GET /v1/machines HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ADMIN_KEY}\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n`,
    400,
  ],
  ['a request for a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n', 404],
  ['an unknown Expect', 'GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: foo\r\nConnection: close\r\n\r\n', 417],
])('%s gets an error of the usual shape', async (_name, text, status) => {
  await using http = await httpFixture();
  const answer = await exchange(await http.listen(), text);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain('content-type: application/problem+json');
  expect(head).toMatch(/x-request-id: req-\S+/);
  expect(head).toContain('x-should-retry: false');
  expect(JSON.parse(body)).toMatchObject({ type: 'about:blank', status });
});

test('HTTP/1.0 needs no Host', async () => {
  await using http = await httpFixture();
  expect(await exchange(await http.listen(), 'GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
});

test('Expect: 100-continue is answered, and a body after another Expect is discarded', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const head = `POST /v1/join-tokens HTTP/1.1\r\nHost: x\r\nx-api-key: ${ADMIN_KEY}\r\nContent-Type: application/json\r\n`;
  const met = await exchange(url, `${head}Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`);
  expect(met).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
  const next = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  const refused = await exchange(url, `${head}Expect: magic\r\nContent-Length: 2\r\n\r\n{}${next}`);
  expect(refused.match(/HTTP\/1\.1 \d+/g)).toStrictEqual(['HTTP/1.1 417', 'HTTP/1.1 200']);
});

test('a follower behind an HTTP/1.0 hop is reset when its stream is cut, so that it does not look complete', async () => {
  await using http = await httpFixture();
  const url = new URL(await http.listen());
  const executionId = await http.create();
  await http.start(executionId);
  await http.report(executionId, { kind: 'stdout', payload: 'half' });
  const socket = connect(Number(url.port), url.hostname);
  const path = `/v1/machines/${MACHINE}/executions/${executionId}/output/stdout?follow=true`;
  socket.write(`GET ${path} HTTP/1.0\r\nx-api-key: ${ADMIN_KEY}\r\n\r\n`);
  let heard = '';
  while (!heard.endsWith('half')) heard += String((await once(socket, 'data'))[0]);
  expect(heard).not.toContain('transfer-encoding');
  const failed = once(socket, 'error');
  await http.app.close();
  expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
});
