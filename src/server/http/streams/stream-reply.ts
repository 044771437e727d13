/** Answers with a stream, written no faster than the socket drains, so that a slow reader does not affect others. */
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { OutputReleasedError } from '../../../store/store.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

/**
 * A stream lets other requests have a turn of the event loop after this many ms: what is read from a local database, and taken at once by
 * a fast client, gives the loop no turn by itself.
 */
const MAX_TURN_MS = 8;
/** Unsent bytes at which a stream waits for its reader: several chunks are written to the socket at once. */
const MAX_UNSENT_BYTES = 262_144;

/**
 * Answers with `chunks` as they are produced. Settles at the end of the answer. If it is cut short (`signal`, an error), the connection is
 * reset, so that a client does not take a part for the whole. Errors are logged here.
 */
export async function streamReply(
  reply: FastifyReply,
  p: { chunks: AsyncIterable<Buffer | string>; signal: AbortSignal; logger: Pick<Logger, 'error'> },
): Promise<void> {
  reply.hijack();
  const response = reply.raw;
  response.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string | number>);
  if (reply.request.method === 'HEAD') {
    response.end();
    return;
  }
  response.flushHeaders();
  try {
    let turnBegan = performance.now();
    for await (const chunk of p.chunks) {
      if (p.signal.aborted) break;
      if (!response.write(chunk) && response.writableLength >= MAX_UNSENT_BYTES) await drained(response, p.signal);
      else if (performance.now() - turnBegan > MAX_TURN_MS) await nextTurn();
      else continue;
      turnBegan = performance.now();
    }
    if (p.signal.aborted) reset(response);
    else response.end();
  } catch (error) {
    // Another reader may release bytes that this one has not read. That is not a fault.
    const isFault = !p.signal.aborted && !(error instanceof OutputReleasedError);
    if (isFault)
      p.logger.error(
        { err: error, [LOG_KEY.requestId]: reply.request.id },
        'stream cut short by an error; the client can continue where it stopped',
      );
    reset(response);
  }
}

/** Resets the connection. For an HTTP/1.0 client a closed connection would be the end of the body. */
function reset(response: ServerResponse): void {
  const { socket } = response;
  // TLS has an end of its own, which a destroyed connection does not send.
  if (socket === null || socket instanceof TLSSocket) response.destroy();
  else socket.resetAndDestroy();
}

/** Settles when more may be written, or the answer has ended. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
