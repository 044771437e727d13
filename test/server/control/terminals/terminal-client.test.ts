/** A client of a terminal that does not read, over a real connection and a terminal that never stops printing. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { TerminalClient } from '../../../../src/server/control/terminals/terminal-client.ts';
import type { Execution } from '../../../../src/store/store.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

const NEVER = 3_600_000;
const RUNNING = storedExecution({ status: 'running', isTerminal: true });

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A client and its object in the server. `left` settles when the server disconnects the client. */
async function connect(p: {
  prints: 'much' | 'nothing';
  timeouts: { stallMs: number; heartbeatMs: number };
  autoPong?: boolean;
  /** The state in the store. */
  stored?: Execution;
}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    autoPong: p.autoPong ?? true,
  });
  open.push(server, client);
  const closed = once(client, 'close') as Promise<[number, Buffer]>;
  const [connection] = await Promise.all([once(server, 'connection'), once(client, 'open')]);
  const [ws, request] = connection as [WebSocket, { socket: { bytesRead: number } }];
  const store = {
    readStream: async ({ maxBytes }: { maxBytes: number }) => Buffer.alloc(p.prints === 'much' ? maxBytes : 0, 'x'),
    getExecution: async () => p.stored ?? RUNNING,
    outputBounds: async () => ({ start: 0, end: 0 }),
  };
  const control = {
    writeStdin: async () => ({ outcome: 'not_open' as const }),
    resize: async () => 'stale' as const,
    subscribe: () => () => {},
  };
  const deps = { store, control, log: { error: () => {} }, timeouts: p.timeouts };
  const options = {
    binary: true,
    offset: 0,
    tellsOffsets: false,
    acknowledges: false,
    signal: new AbortController().signal,
  };
  const served = new TerminalClient(deps, { ws, socket: request.socket }, RUNNING, options);
  return { client, closed, ws, served, left: served.run(RUNNING) };
}

describe('a client of a terminal', () => {
  test('a client that reads nothing is dropped, and gets 1013 when it reads again', async () => {
    const { client, closed, ws, served, left } = await connect({
      prints: 'much',
      timeouts: { stallMs: 200, heartbeatMs: NEVER },
    });
    client.pause();
    await left;
    const sentBytes = served.offset;
    expect(ws.readyState).toBe(WebSocket.CLOSING);
    let gotBytes = 0;
    client.on('message', (data: Buffer) => {
      gotBytes += data.length;
    });
    client.resume();
    const [code, reason] = await closed;
    expect([code, reason.toString()]).toEqual([1013, 'the client does not read']);
    expect(gotBytes).toBe(sentBytes);
  });

  test('that reads slowly is kept', async () => {
    const { client, served } = await connect({ prints: 'much', timeouts: { stallMs: 10_000, heartbeatMs: NEVER } });
    const bytes = { got: 0 };
    const enough = Promise.withResolvers<void>();
    client.on('message', (data: Buffer) => {
      bytes.got += data.length;
      if (bytes.got > 64 * 1024 * 1024) enough.resolve();
      client.pause();
      setImmediate(() => client.resume());
    });
    await enough.promise;
    expect(client.readyState).toBe(WebSocket.OPEN);
    // The server buffers no more than the sockets hold; the terminal is paused.
    expect(served.offset - bytes.got).toBeLessThan(32 * 1024 * 1024);
  });

  test('that sends nothing more, not even a pong, is dropped', async () => {
    const { closed, left } = await connect({
      prints: 'nothing',
      timeouts: { stallMs: NEVER, heartbeatMs: 50 },
      autoPong: false,
    });
    const [code] = await closed;
    expect(code).toBe(1006);
    await left;
  });

  test('that is attached while the shell ends is told so at once', { timeout: 20_000 }, async () => {
    const { closed } = await connect({
      prints: 'nothing',
      timeouts: { stallMs: NEVER, heartbeatMs: NEVER },
      stored: storedExecution({ status: 'failed', errorCode: 'nonzero_exit', exitCode: 7, isTerminal: true }),
    });
    const [code, reason] = await closed;
    expect([code, reason.toString()]).toEqual([1000, 'exit 7']);
  });

  test('that answers pings is kept, however long nothing is typed or printed', async () => {
    const { client } = await connect({ prints: 'nothing', timeouts: { stallMs: NEVER, heartbeatMs: 1000 } });
    for (let i = 0; i < 4; i++) await once(client, 'ping');
    expect(client.readyState).toBe(WebSocket.OPEN);
  });
});
