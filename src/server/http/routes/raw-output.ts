/** One stream of an execution as its bytes: whole, a range, the tail, or as they come. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import { type Commits, watchCommits } from '../../control/live/watch-commits.ts';
import type { App, HttpContext } from '../http-context.ts';
import { invalid, Problem } from '../replies/problem.ts';
import { ExecutionParams } from '../../../api/fields.ts';
import { RawOutputQuery } from '../../../api/output.ts';
import { streamReply } from '../streams/stream-reply.ts';
import { readRange } from '../streams/byte-range.ts';
import { findExecution } from '../requests/lookup.ts';
import { readKept } from '../streams/stream-bytes.ts';

const PIECE_BYTES = 262_144;
/** A reader that follows looks again after so much silence, whatever it was told. */
const LOOK_AGAIN_MS = 30_000;

type RawRequest = FastifyRequest<{
  Params: Static<typeof ExecutionParams>;
  Querystring: Static<typeof RawOutputQuery>;
}>;
type Stream = 'stdout' | 'stderr';

const DOCUMENTED = {
  headers: [
    {
      name: 'Range',
      in: 'header',
      required: false,
      description: 'One range of bytes; not together with tail.',
      schema: { type: 'string', examples: ['bytes=0-1023'] },
    },
    {
      name: 'If-None-Match',
      in: 'header',
      required: false,
      description: 'The ETag of an answer before: 304 where nothing has changed.',
      schema: { type: 'string', examples: ['"exec-V1StGXR8Z5jdHi6B-stdout-2048"'] },
    },
  ],
  refusals: [416],
  statuses: {
    206: {
      description: 'The range that was asked for.',
      content: {
        'application/octet-stream': { schema: { type: 'string', description: 'The bytes as they are.' } },
      },
    },
    304: { description: 'The bytes are those of the ETag given.' },
  },
} as const;

export function rawOutputRoutes(app: App, context: HttpContext): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    app.get(
      `/v1/machines/:machine_id/executions/:execution_id/output/${stream}`,
      {
        config: { access: 'executions:read', produces: 'application/octet-stream', documented: DOCUMENTED },
        schema: {
          summary: `Get the bytes of ${stream}, also while it runs; with Range`,
          operationId: `getExecution${stream === 'stdout' ? 'Stdout' : 'Stderr'}`,
          tags: ['Executions'],
          params: ExecutionParams,
          querystring: RawOutputQuery,
        },
      },
      async (request, reply) => {
        if (request.query.tail !== undefined && request.headers.range !== undefined) {
          throw invalid([{ location: 'query.tail', message: 'must be absent with Range' }]);
        }
        const execution = await findExecution(context, request.params);
        reply.type('application/octet-stream').header('cache-control', 'private, no-cache');
        if (request.query.follow === true) await follow(context, request, reply, { execution, stream });
        else await answerKept(context, request, reply, { execution, stream });
        return reply;
      },
    );
  }
}

/** What is kept now. Bytes never change once they are kept, so that ranges of a running command hold as well. */
async function answerKept(
  context: HttpContext,
  request: RawRequest,
  reply: FastifyReply,
  p: { execution: Execution; stream: Stream },
): Promise<void> {
  const { executionId, status } = p.execution;
  const kept = await context.store.keptBytes({ executionId, stream: p.stream });
  const etag = isTerminal(status) ? `"${executionId}-${p.stream}-${kept}"` : undefined;
  reply.header('accept-ranges', 'bytes');
  if (etag !== undefined) reply.header('etag', etag);
  if (etag !== undefined && matches(request.headers['if-none-match'], etag)) {
    await reply.code(304).send();
    return;
  }
  const ifRange = request.headers['if-range'];
  const range = ifRange === undefined || ifRange === etag ? readRange(request.headers.range, kept) : 'whole';
  if (range === 'unsatisfiable') {
    throw new Problem(416, 'The stream has no such bytes.', { headers: { 'content-range': `bytes */${kept}` } });
  }
  const tail = request.query.tail ?? kept;
  const { start, end } = range === 'whole' ? { start: Math.max(0, kept - tail), end: kept } : range;
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${kept}`);
  reply.header('content-length', end - start);
  const signal = context.openRequests.open(request, reply);
  const chunks = readKept(context.store, { executionId, stream: p.stream, start, end });
  await streamReply(reply, { chunks, signal, logger: context.logger });
}

async function follow(
  context: HttpContext,
  request: RawRequest,
  reply: FastifyReply,
  p: { execution: Execution; stream: Stream },
): Promise<void> {
  const { executionId } = p.execution;
  const signal = context.openRequests.open(request, reply);
  const { tail } = request.query;
  const kept = tail === undefined ? 0 : await context.store.keptBytes({ executionId, stream: p.stream });
  const start = tail === undefined ? 0 : Math.max(0, kept - tail);
  reply.header('x-accel-buffering', 'no');
  const commits = watchCommits(context.control, executionId);
  try {
    const chunks = followed(context, { ...p, start, commits, signal });
    await streamReply(reply, { chunks, signal, logger: context.logger });
  } finally {
    commits.close();
  }
}

/** The state is looked at before the bytes: after an end that was seen, one more look finds all there is. */
async function* followed(
  context: HttpContext,
  p: { execution: Execution; stream: Stream; start: number; commits: Commits; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const { executionId, machineId } = p.execution;
  let offset = p.start;
  let latest = await context.store.getExecution({ machineId, executionId });
  while (!p.signal.aborted) {
    const ended = latest === undefined || isTerminal(latest.status);
    for (;;) {
      const bytes = await context.store.readStream({ executionId, stream: p.stream, offset, maxBytes: PIECE_BYTES });
      if (bytes.length === 0) break;
      offset += bytes.length;
      yield bytes;
    }
    if (ended) return;
    const committed = await p.commits.next(LOOK_AGAIN_MS, p.signal);
    latest = committed ? p.commits.latest() : await context.store.getExecution({ machineId, executionId });
  }
}

function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === etag);
}
