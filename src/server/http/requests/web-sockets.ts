/** Creates WebSocket servers for the upgraded sockets of agents and terminals. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { answerBare } from '../replies/bare-answer.ts';
import { Problem } from '../replies/problem.ts';

/** Time limit for the closing handshake of a connection, in ms. */
const CLOSE_TIMEOUT_MS = 5000;
/** Fragments of one message. A fragment may be empty, so that the size of a message does not limit their number. */
const MAX_FRAGMENTS = 512;
/** A separate constant, because the types of ws do not declare all of these yet. */
const OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  closeTimeout: CLOSE_TIMEOUT_MS,
  maxFragments: MAX_FRAGMENTS,
};

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/**
 * Returns a server for upgraded sockets. Its answers have an `x-request-id`, as all answers have. It answers 400 to a malformed handshake.
 * `maxPayload`: maximum bytes of a message.
 */
export function createWebSocketServer(maxPayload: number, nextRequestId: () => string): WebSocketServer {
  const server = new WebSocketServer({ ...OPTIONS, maxPayload });
  server.on('wsClientError', (_error, socket) => {
    const refusal = new Problem(400, 'The request is not a WebSocket handshake that this server accepts.');
    answerBare(socket, refusal, nextRequestId());
  });
  server.on('headers', (headers: string[]) => headers.push(`x-request-id: ${nextRequestId()}`));
  return server;
}
