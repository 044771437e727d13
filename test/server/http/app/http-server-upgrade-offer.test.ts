import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { readServerConfig } from '../../../../src/server/config.ts';
import { createHttpServer } from '../../../../src/server/http/app/http-server.ts';

test('a plain request that offers an upgrade to HTTP/2 is answered like any other', async () => {
  const server = createHttpServer(readServerConfig({}, {}), (_request, response) => response.end('answered'));
  server.on('upgrade', (_request, socket) => void socket.destroy());
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const headers = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' };
  const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', headers, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  expect(response.statusCode).toBe(200);
});
