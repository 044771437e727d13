/** Writes to the stdin of an execution that was created with `stdin_open`. */
import type { FastifyRequest } from 'fastify';
import { ExecutionParams } from '../../../../api/fields.ts';
import { StdinQuery, StdinResultSchema } from '../../../../api/interaction.ts';
import { ApiError } from '../../../../core/errors.ts';
import type { Execution } from '../../../../store/store.ts';
import type { StdinOutcome } from '../../../control/commands/stdin.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { assumeOctets, useOctetBodies } from '../../requests/body-parsers.ts';
import { withIdempotencyKey } from '../../requests/idempotency.ts';
import { findExecution } from '../../requests/lookup.ts';
import { assertKeyStillValid } from '../../requests/open-requests.ts';

const NOTHING = Buffer.alloc(0);

const REFUSALS = {
  not_open: 'The stdin of this execution is not open: it was closed, or stdin_open was not requested.',
  not_running: 'The execution has not started yet.',
  agent_away: 'The agent of the machine is offline: nothing was written.',
  unknown:
    'The server that the agent was connected to does not answer: the bytes may have been written. Try again with their offset.',
  no_writers: 'The version of the agent is too old: nothing was written.',
  bad_offset: 'The offset is past the bytes that were written so far.',
} as const;

/** Registers the route that writes to stdin. */
export function stdinRoutes(app: App, context: HttpContext): void {
  const recordWriter = writerRecorder(context);
  app.register((scope: App, _options, registered) => {
    scope.addHook('preParsing', assumeOctets);
    useOctetBodies(scope);
    scope.post(
      '/v1/machines/:machine_id/executions/:execution_id/stdin',
      {
        config: { access: 'executions:write', consumes: 'application/octet-stream' },
        schema: {
          summary: 'Write to stdin; a retry at the same offset writes nothing twice',
          operationId: 'writeExecutionStdin',
          tags: ['Executions'],
          params: ExecutionParams,
          querystring: StdinQuery,
          response: { 200: StdinResultSchema },
        },
      },
      async (request, reply) => {
        const execution = await findExecution(context, request.params);
        const { executionId } = execution;
        const onBehalf = await context.onBehalfOf(request);
        const { offset, close = false } = request.query;
        const bytes = Buffer.isBuffer(request.body) ? request.body : NOTHING;
        const signal = context.openRequests.open(request, reply);
        const keyed = { onBehalf, resource: executionId, reply, now: context.now() };
        const written = await withIdempotencyKey(context.store, keyed, async (replayed) => {
          // A replay with an offset writes what the first request did not: its server may have died before it wrote.
          if (replayed && offset === undefined) return undefined;
          const p = { execution, bytes, close, signal, ...(offset === undefined ? {} : { offset }) };
          const result = await context.control.writeStdin(p);
          if (mayHaveWritten(result.outcome, p)) recordWriter(request, execution);
          assertKeyStillValid(signal);
          return writtenOr409(result, replayed);
        });
        return written === undefined
          ? { execution_id: executionId }
          : { execution_id: executionId, offset: written.offset, closed: written.closed };
      },
    );
    registered();
  });
}

function mayHaveWritten(
  outcome: StdinOutcome['outcome'],
  { bytes, close }: { bytes: Buffer; close: boolean },
): boolean {
  return (outcome === 'written' || outcome === 'unknown') && (bytes.length > 0 || close);
}

/** Returns the progress; undefined for a replay after the end of stdin. Throws INVALID_STATE if the bytes were not written. */
function writtenOr409(result: StdinOutcome, replayed: boolean) {
  if (result.outcome === 'written') return result;
  const reason = result.outcome;
  if (replayed && reason === 'not_open') return undefined;
  throw new ApiError('INVALID_STATE', { message: REFUSALS[reason], details: { reason } });
}

/** Number of writers that are remembered. Above it all are forgotten, and each may be recorded once more. */
const MAX_WRITERS = 10_000;

/**
 * Returns a function that records a key which writes to a command that another key has created: input of a shell can do as much as a command.
 * It records the first write only, since there may be many.
 */
function writerRecorder({ audit }: Pick<HttpContext, 'audit'>) {
  const writers = new Set<string>();
  return (request: FastifyRequest, { executionId, machineId, createdBy }: Execution): void => {
    const { apiKeyId } = request.principal;
    const writer = `${apiKeyId} ${executionId}`;
    if (apiKeyId === createdBy || writers.has(writer)) return;
    if (writers.size === MAX_WRITERS) writers.clear();
    writers.add(writer);
    audit.note(request, { action: 'execution.stdin', machineId, resource: executionId, outcome: 'written' });
  };
}
