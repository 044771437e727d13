/** The connections of the CLI's `fetch`. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { fetchFor } from '../../src/cli/fetch.ts';

test('an aborted request closes the idle connections too: they may be as dead as its own', async () => {
  const waiting: ServerResponse[] = [];
  const open = new Set<Socket>();
  const server = createServer((_request, response) => waiting.push(response)).listen(0, '127.0.0.1');
  server.on('connection', (socket) => open.add(socket.on('close', () => open.delete(socket))));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const send = fetchFor({ url });
  const request = { method: 'GET' };
  const two = [send(url.href, request), send(url.href, request)].map(async (response) => (await response).text());
  await expect.poll(() => waiting.length).toBe(2);
  for (const response of waiting) response.end('idle');
  expect(await Promise.all(two)).toEqual(['idle', 'idle']);
  expect(open.size).toBe(2);
  const abort = new AbortController();
  const third = send(url.href, { ...request, signal: abort.signal });
  await expect.poll(() => waiting.length).toBe(3);
  abort.abort();
  await expect(third).rejects.toThrow();
  await expect.poll(() => open.size).toBe(0);
});
