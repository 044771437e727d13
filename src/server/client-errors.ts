/** What is no HTTP never reaches a route: answered on the bare socket, in the shape of every other problem. */
import type { Socket } from 'node:net';
import { retryHeaders } from './error-replies.ts';
import { isRetryableStatus, Problem, problemBody } from './problem.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

const STATUS_OF: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};
const DETAIL_OF: Readonly<Record<number, string>> = {
  400: 'The request is not HTTP as this server reads it.',
  408: 'The request did not arrive in time.',
  413: 'The body is larger than the server takes.',
  431: 'The headers are larger than the server takes.',
};

/** Handles Node's `clientError`; `nextRequestId` names the answer. */
export function answerClientError(error: Error & { code?: string }, socket: Socket, nextRequestId: () => string): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF[error.code ?? ''] ?? 400;
  const problem = new Problem(status, DETAIL_OF[status] ?? '');
  const requestId = nextRequestId();
  const body = problemBody(problem, requestId);
  const text = JSON.stringify(body);
  const headers = {
    ...SECURITY_HEADERS,
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
    'x-request-id': requestId,
    ...retryHeaders(isRetryableStatus(status) ? 1000 : undefined),
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${body['title']}\r\n${head.join('')}\r\n${text}`);
}
