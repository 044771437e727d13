/** Streams: written as fast as the socket drains and no faster, so that a slow reader costs nobody but itself. */
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';
import { LOG_KEY } from '../../../node/log-keys.ts';

/**
 * Answers with `chunks` as they come; settles when the answer is over. Cut short (`signal`, an error) the connection is
 * closed rather than the answer ended, so that nobody takes a part for the whole. Whatever is thrown is logged here.
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
    for await (const chunk of p.chunks) {
      if (p.signal.aborted) break;
      if (!response.write(chunk)) await drained(response, p.signal);
    }
    if (p.signal.aborted) response.destroy();
    else response.end();
  } catch (error) {
    if (!p.signal.aborted)
      p.logger.error({ err: error, [LOG_KEY.requestId]: reply.request.id }, 'a stream was cut short');
    response.destroy();
  }
}

/** Settles when more may be written, or nothing needs to be any more. */
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
