/** The CLI's WebSocket notices a server that disappeared without closing the connection. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { webSocketFor } from '../../src/cli/web-socket.ts';

async function connected(p: { autoPong: boolean }) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: p.autoPong });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = webSocketFor({ url: new URL(url) }, 30)(url.replace('http', 'ws'));
  const closed = new Promise<number>((resolve) => {
    client.onclose = ({ code }) => resolve(code);
  });
  const [served] = await once(server, 'connection');
  return { client, closed, served, close: () => server.close() };
}

test('a server that does not answer pings is gone: the connection closes', async () => {
  const { closed, close } = await connected({ autoPong: false });
  expect(await closed).toBe(1006);
  close();
});

test('a server that answers pings is kept, however long it sends nothing else', async () => {
  const { client, closed, served, close } = await connected({ autoPong: true });
  for (let i = 0; i < 8; i++) await once(served, 'ping');
  expect(client.readyState).toBe(1);
  client.close();
  await closed;
  close();
});
