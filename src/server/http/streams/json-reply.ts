/** Answers JSON text that is made piece by piece: in one piece with its length if it is short, else as a stream. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HttpContext } from '../http-context.ts';
import { gather } from './stream-bytes.ts';
import { streamReply } from './stream-reply.ts';

/** Up to this many bytes of output the answer is sent in one piece. */
const ONE_PIECE_BYTES = 131_072;

/** `outputBytes`: size of the output in the text. `signal`: of a request that is open already. */
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
