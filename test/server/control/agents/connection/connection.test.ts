import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { AgentConnection } from '../../../../../src/server/control/agents/connection/connection.ts';
import { AGENT_LIMITS } from '../../../../../src/server/control/agents/connection/limits.ts';

/** A connection over a socket that the test controls. */
function connected(framesPerSecond = 1000) {
  const socket = Object.assign(new EventEmitter(), {
    bufferedAmount: 0,
    isPaused: false,
    terminated: 0,
    terminate() {
      this.terminated += 1;
    },
    close() {},
    resume() {},
  });
  const closes: { code: number; reason: string }[] = [];
  const listener = {
    expectsHello: false,
    frame: () => {},
    records: () => {},
    drained: () => {},
    closed: (why: { code: number; reason: string }) => void closes.push(why),
  };
  const connection = new AgentConnection({
    ws: socket as unknown as WebSocket,
    socket: { bytesRead: 0, cork() {}, uncork() {} },
    framesPerSecond,
    listener,
  });
  return { socket, connection, closes };
}

test('a peer that pings and does not read the answers is disconnected once they take too much memory (S9)', () => {
  const { socket, closes } = connected();
  socket.bufferedAmount = AGENT_LIMITS.unreadBytes;
  socket.emit('ping', Buffer.alloc(4));
  expect(closes).toEqual([]);
  socket.bufferedAmount += 1;
  socket.emit('ping', Buffer.alloc(4));
  expect(closes).toMatchObject([{ reason: 'does not read' }]);
  expect(socket.terminated).toBe(1);
});

test.each(['ping', 'pong'])('each %s uses credit', (event) => {
  const { socket, connection } = connected(10);
  for (let count = 0; count < 20; count += 1) socket.emit(event, Buffer.alloc(0));
  expect(connection.closed).toBe(false);
  for (let count = 0; count < 10; count += 1) socket.emit(event, Buffer.alloc(0));
  expect(connection.closed).toBe(true);
});
