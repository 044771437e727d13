import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { httpFixture } from './http-fixture.ts';

async function exchange(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.end(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test.each([
  ['garbage', 'NOT HTTP\r\n\r\n', 400],
  ['an unknown method', 'BREW /v1/machines HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  ['headers that are too large', `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(40_000)}\r\n\r\n`, 431],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
])('%s is answered in the shape of every error', async (_name, text, status) => {
  await using http = await httpFixture();
  const answer = await exchange(await http.listen(), text);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain('content-type: application/problem+json');
  expect(head).toMatch(/x-request-id: req-\S+/);
  expect(head).toContain('x-should-retry: false');
  expect(JSON.parse(body)).toMatchObject({ type: 'about:blank', status });
});
