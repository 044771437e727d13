/** Serves the event log: in pages, which may wait for new events, and as server-sent events. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { isTerminal } from '../../../../core/execution.ts';
import type { Execution, ExecutionEvent } from '../../../../store/store.ts';
import { watchCommits } from '../../../control/live/watch-commits.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { assertKeyStillValid } from '../../requests/open-requests.ts';
import { invalid } from '../../replies/problem.ts';
import { EventsQuery, ExecutionEventListSchema } from '../../../../api/execution.ts';
import { ExecutionParams } from '../../../../api/fields.ts';
import { eventWire } from '../../replies/wire.ts';
import { streamReply } from '../../streams/stream-reply.ts';
import { eventStream, isEnd } from '../../streams/event-stream.ts';
import { findExecution } from '../../requests/lookup.ts';

/** Bytes of chunks after which a page ends early, so that 1000 events of 64 KiB are never in memory. */
const PAGE_BYTES = 1_048_576;

const DOCUMENTED = {
  headers: [
    {
      name: 'Last-Event-ID',
      in: 'header',
      required: false,
      description: 'With Accept: text/event-stream: the sequence after which the stream resumes.',
      schema: { type: 'string', pattern: '^[0-9]{1,15}$', examples: ['7'] },
    },
  ],
  eventStream: 'id is the sequence, event the type, data an ExecutionEvent; the stream ends after the terminal one.',
  statuses: {
    204: { description: 'With Accept: text/event-stream: the log is complete, and nothing is left to send.' },
  },
} as const;

/** Registers the route of the event log. */
export function eventRoutes(app: App, context: HttpContext): void {
  app.get(
    '/v1/machines/:machine_id/executions/:execution_id/events',
    {
      config: { access: 'executions:read', documented: DOCUMENTED },
      schema: {
        summary: 'Read the event log, oldest first; with Accept: text/event-stream, follow it',
        operationId: 'listExecutionEvents',
        tags: ['Executions'],
        params: ExecutionParams,
        querystring: EventsQuery,
        response: { 200: ExecutionEventListSchema },
      },
    },
    async (request, reply) => {
      const list = eventList(request.params.execution_id);
      const after = context.cursors.decode(list, request.query.cursor) ?? 0;
      if (acceptsEventStream(request.headers.accept)) {
        await answerStream(context, request, reply, { after, encoding: request.query.encoding ?? 'utf8' });
        return reply;
      }
      return page(context, request, reply, { after, query: request.query });
    },
  );
}

/** Whether an `Accept` header names event streams. Media types may have capitals, and q=0 means that they are not accepted (RFC 9110 §12.4.2). */
function acceptsEventStream(accept = ''): boolean {
  return accept
    .toLowerCase()
    .split(',')
    .map((range) => range.split(';').map((part) => part.trim()))
    .some(
      ([type, ...parameters]) => type === 'text/event-stream' && !parameters.some((part) => /^q=0(\.0*)?$/.test(part)),
    );
}

function eventList(executionId: string): string {
  return `events ${executionId}`;
}

async function page(
  context: HttpContext,
  request: FastifyRequest<{ Params: Static<typeof ExecutionParams> }>,
  reply: FastifyReply,
  { after, query }: { after: number; query: EventsQuery },
) {
  const { wait_ms: waitMs = 0, limit, encoding = 'utf8' } = query;
  const signal = waitMs > 0 ? context.openRequests.open(request, reply) : undefined;
  const executionId = request.params.execution_id;
  // The execution is watched before it is read: a commit in between ends the wait.
  const commits = signal === undefined ? undefined : watchCommits(context.control, executionId);
  try {
    const read = () => context.store.listEvents({ executionId, afterSequence: after, limit, maxBytes: PAGE_BYTES });
    let execution = await findExecution(context, request.params);
    let events = await read();
    const until = context.now() + waitMs;
    while (signal !== undefined && commits !== undefined && events.length === 0 && !isTerminal(execution.status)) {
      const committed = await commits.next(until - context.now(), signal);
      assertKeyStillValid(signal);
      execution = commits.latest() ?? execution;
      if (committed) events = await read();
      else break;
    }
    return pageOf(context, execution, { after, events, encoding });
  } finally {
    commits?.close();
  }
}

function pageOf(
  context: HttpContext,
  execution: Execution,
  p: { after: number; events: readonly ExecutionEvent[]; encoding: 'utf8' | 'base64' },
) {
  const items = p.events.map((event) => eventWire(event, p.encoding));
  const last = p.events.at(-1);
  const position = last?.sequence ?? p.after;
  const complete =
    last === undefined ? isTerminal(execution.status) && position >= execution.lastSequence : isEnd(last);
  return complete
    ? { items }
    : { items, next_cursor: context.cursors.encode(eventList(execution.executionId), position) };
}

async function answerStream(
  context: HttpContext,
  request: FastifyRequest<{ Params: Static<typeof ExecutionParams> }>,
  reply: FastifyReply,
  p: { after: number; encoding: 'utf8' | 'base64' },
): Promise<void> {
  const after = lastEventId(request) ?? p.after;
  const execution = await findExecution(context, request.params);
  if (isTerminal(execution.status) && after >= execution.lastSequence) {
    // An EventSource reconnects after every end of a stream, but not after a 204.
    await reply.code(204).send();
    return;
  }
  const signal = context.openRequests.open(request, reply);
  reply.type('text/event-stream; charset=utf-8').header('x-accel-buffering', 'no');
  const chunks = eventStream(context, { execution, after, encoding: p.encoding, signal });
  await streamReply(reply, { chunks, signal, logger: context.logger });
}

/** Returns the last sequence that a reconnecting client has seen. It is newer than the cursor of the client's first request. */
function lastEventId(request: FastifyRequest): number | undefined {
  const given = request.headers['last-event-id'];
  if (given === undefined || given === '') return undefined;
  if (typeof given === 'string' && /^[0-9]{1,15}$/.test(given)) return Number(given);
  throw invalid([{ location: 'header.last-event-id', message: 'must be the sequence of an event' }]);
}
