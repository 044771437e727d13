/** Serves one stream of an execution as bytes: whole, a range, the tail, from an offset, or live. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { ApiError } from '../../../../core/errors.ts';
import { isTerminal, type Stream } from '../../../../core/execution.ts';
import type { Execution, OutputBounds } from '../../../../store/store.ts';
import { assertScope } from '../../authentication/auth.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { BINARY } from '../../documents/schema-objects.ts';
import { invalid, notFound, Problem } from '../../replies/problem.ts';
import { ExecutionParams } from '../../../../api/fields.ts';
import { RawOutputQuery } from '../../../../api/output.ts';
import { streamReply } from '../../streams/stream-reply.ts';
import { matchesEtag, readRange } from '../../streams/byte-range.ts';
import { findExecution } from '../../requests/lookup.ts';
import { followedOutput, followHeaders, readerOf } from '../../streams/followed-output.ts';
import { readKept } from '../../streams/stream-bytes.ts';

type RawRequest = FastifyRequest<{
  Params: Static<typeof ExecutionParams>;
  Querystring: Static<typeof RawOutputQuery>;
}>;

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
      description: 'The ETag of an earlier answer: 304 if nothing has changed.',
      schema: { type: 'string', examples: ['"exec-V1StGXR8Z5jdHi6B-stdout-2048"'] },
    },
  ],
  refusals: [409, 416],
  statuses: {
    206: {
      description: 'The requested range.',
      content: {
        'application/octet-stream': { schema: BINARY },
      },
    },
    304: { description: 'The bytes match the given ETag.' },
  },
} as const;

/** Registers the routes of the raw streams. */
export function rawOutputRoutes(app: App, context: HttpContext): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    app.get(
      `/v1/machines/:machine_id/executions/:execution_id/output/${stream}`,
      {
        config: { access: 'executions:read', produces: 'application/octet-stream', documented: DOCUMENTED },
        schema: {
          summary: `Get the bytes of ${stream}, also while it runs; supports Range`,
          operationId: `getExecution${stream === 'stdout' ? 'Stdout' : 'Stderr'}`,
          tags: ['Executions'],
          params: ExecutionParams,
          querystring: RawOutputQuery,
        },
      },
      async (request, reply) => {
        refuseContradictions(request);
        const execution = await findExecution(context, request.params);
        if (request.query.release === true) await release(context, request, { execution, stream });
        reply.type('application/octet-stream').header('cache-control', 'private, no-cache');
        if (request.query.follow === true) await follow(context, request, reply, { execution, stream });
        else await answerKept(context, request, reply, { execution, stream });
        return reply;
      },
    );
  }
}

interface StreamOf {
  execution: Execution;
  stream: Stream;
}

function refuseContradictions({ query, headers }: RawRequest): void {
  const { tail, offset, release } = query;
  const refuse = (name: string, message: string): never => {
    throw invalid([{ location: `query.${name}`, message }]);
  };
  if (tail !== undefined && headers.range !== undefined) refuse('tail', 'must be absent with Range');
  if (offset !== undefined && headers.range !== undefined) refuse('offset', 'must be absent with Range');
  if (offset !== undefined && tail !== undefined) refuse('offset', 'must be absent with tail');
  if (release === true && offset === undefined) refuse('release', 'needs offset');
}

/** Releases the bytes before an offset. That deletes them, so a key that may only read is refused. */
async function release(context: HttpContext, request: RawRequest, { execution, stream }: StreamOf): Promise<void> {
  assertScope(request.principal, 'executions:write');
  const { machineId, executionId } = execution;
  const { offset = 0 } = request.query;
  const released = await context.control.output.release({ machineId, executionId, stream, offset });
  if (released.outcome === 'released') return;
  if (released.outcome === 'past_end') throw await noSuchBytes(context, { execution, stream });
  if (released.outcome === 'not_yet') {
    const message = 'The agent has to send those bytes again before they can be released. Try again.';
    throw new ApiError('DEPENDENCY_UNAVAILABLE', { message });
  }
  if (released.outcome === 'not_found') throw notFound('The machine has no such execution.');
  throw new ApiError('INVALID_STATE', {
    message: 'Output can be released only if the execution has output_mode "stream".',
    details: { reason: released.outcome },
  });
}

async function noSuchBytes({ control }: HttpContext, { execution, stream }: StreamOf): Promise<Problem> {
  const { end } = await control.output.bounds(execution, stream);
  return new Problem(416, 'The stream has no such bytes.', { headers: { 'content-range': `bytes */${end}` } });
}

/** Sends the present bytes. Kept bytes never change, so ranges of a running command are valid too. */
async function answerKept(context: HttpContext, request: RawRequest, reply: FastifyReply, p: StreamOf): Promise<void> {
  const { executionId, status } = p.execution;
  const { stream } = p;
  const bounds = await boundsOfKept(context, request, p);
  const etag = isTerminal(status) ? `"${executionId}-${stream}-${bounds.start}-${bounds.end}"` : undefined;
  reply.header('accept-ranges', 'bytes');
  if (etag !== undefined) reply.header('etag', etag);
  if (etag !== undefined && matchesEtag(request.headers['if-none-match'], etag)) {
    await reply.code(304).send();
    return;
  }
  const ifRange = request.headers['if-range'];
  const range = ifRange === undefined || ifRange === etag ? readRange(request.headers.range, bounds.end) : 'whole';
  const bytes = range === 'whole' ? { start: startOf(request.query, bounds), end: bounds.end } : range;
  if (bytes === 'unsatisfiable' || bytes.start < bounds.start || bytes.start > bounds.end) {
    throw await noSuchBytes(context, p);
  }
  const { start, end } = bytes;
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${bounds.end}`);
  reply.header('content-length', end - start);
  const signal = context.openRequests.open(request, reply);
  const chunks = readKept(context.store, { executionId, stream, start, end });
  await streamReply(reply, { chunks, signal, logger: context.logger });
}

/** Returns the bytes that can be sent. A HEAD request, by which readers release output, needs none: they may stay in memory. */
async function boundsOfKept({ control, store }: HttpContext, request: RawRequest, p: StreamOf): Promise<OutputBounds> {
  if (request.method === 'HEAD') return control.output.bounds(p.execution, p.stream);
  const { executionId } = p.execution;
  await control.output.store(executionId);
  return store.outputBounds({ executionId, stream: p.stream });
}

async function follow(context: HttpContext, request: RawRequest, reply: FastifyReply, p: StreamOf): Promise<void> {
  const { execution, stream } = p;
  const { executionId } = execution;
  const bounds = await context.control.output.bounds(execution, stream);
  const start = startOf(request.query, bounds);
  if (start < bounds.start || start > bounds.followableTo) throw await noSuchBytes(context, p);
  const signal = context.openRequests.open(request, reply);
  reply.headers(followHeaders(context.config, execution));
  const place = readerOf(context.store, executionId, stream, start);
  const chunks = followedOutput(context, { execution, place, signal });
  await streamReply(reply, { chunks, signal, logger: context.logger });
}

/** Returns the first byte for a request without Range. */
function startOf({ tail, offset }: RawOutputQuery, { start, end }: OutputBounds): number {
  if (offset !== undefined) return offset;
  return tail === undefined ? start : Math.max(start, end - tail);
}
