/** Answers requests that never reach a route, because they are not valid HTTP or ask for a tunnel: with a problem, written to the socket. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { answerBare } from '../replies/bare-answer.ts';
import { notFound, Problem } from '../replies/problem.ts';

const STATUS_OF: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};
const DETAIL_OF: Readonly<Record<number, string>> = {
  400: 'The request is not valid HTTP.',
  408: 'The request did not arrive in time.',
  413: 'The body is larger than the server accepts.',
  431: 'The headers are larger than the server accepts.',
};

/** Handles Node's `clientError`. `nextRequestId` gives the answer its id. */
export function answerClientError(error: Error & { code?: string }, socket: Socket, nextRequestId: () => string): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF[error.code ?? ''] ?? 400;
  answerBare(socket, new Problem(status, DETAIL_OF[status] ?? ''), nextRequestId());
}

/** Handles Node's `connect`: the method CONNECT exists on no route. Without a handler Node closes the connection without an answer. */
export function answerConnect(socket: Duplex, nextRequestId: () => string): void {
  socket.on('error', () => socket.destroy());
  answerBare(socket, notFound(), nextRequestId());
}
