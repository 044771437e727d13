import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createWebSocketServer } from '../../../../src/server/http/requests/web-sockets.ts';

test('the answer to a handshake has an x-request-id', async () => {
  const sockets = createWebSocketServer(1024, () => 'req-1');
  const server = createServer().on('upgrade', (asked, socket, head) => {
    sockets.handleUpgrade(asked, socket, head, (ws) => ws.terminate());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    };
    const asked = request({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, headers }).end();
    const [answer] = (await once(asked, 'upgrade')) as [IncomingMessage];
    expect([answer.statusCode, answer.headers['x-request-id']]).toEqual([101, 'req-1']);
  } finally {
    server.close();
  }
});
