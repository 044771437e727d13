import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ApiError } from '../../../core/errors.ts';
import { errorReply } from './error-replies.ts';
import type { Problem } from './problem.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

/** Answers on a socket that has no request and response (any more) with an error of the usual form, and closes it. */
export function answerBare(socket: Duplex, error: ApiError | Problem, requestId: string): void {
  const { status, headers, body } = errorReply(error, requestId);
  const text = JSON.stringify(body);
  const all = {
    ...SECURITY_HEADERS,
    ...headers,
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
    'x-request-id': requestId,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${text}`);
}
