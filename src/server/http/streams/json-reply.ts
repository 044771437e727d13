/** Answers with JSON text that is produced in pieces: as a whole with its length if it is short, otherwise as a stream. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HttpContext } from '../http-context.ts';
import { gather } from './stream-bytes.ts';
import { streamReply } from './stream-reply.ts';

/** Maximum bytes of output in an answer that is sent as a whole. */
const ONE_PIECE_BYTES = 131_072;

/** Sends the text. `outputBytes`: size of the output in it. `signal`: the signal of a request that is already counted as open. */
export async function replyJsonText(
  context: Pick<HttpContext, 'openRequests' | 'logger'>,
  request: FastifyRequest,
  reply: FastifyReply,
  p: { chunks: AsyncIterable<string>; outputBytes: number; signal?: AbortSignal | undefined },
): Promise<FastifyReply> {
  reply.type('application/json; charset=utf-8');
  if (p.outputBytes <= ONE_PIECE_BYTES) {
    return reply.serializer(String).send((await gather(p.chunks)).join(''));
  }
  const signal = p.signal ?? context.openRequests.open(request, reply);
  await streamReply(reply, { chunks: p.chunks, signal, logger: context.logger });
  return reply;
}
