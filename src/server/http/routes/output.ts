/** All the output of a finished execution as one JSON object, written out as it is read from the store. */
import { type Static, Type } from 'typebox';
import { ApiError } from '../../../core/errors.ts';
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { App, HttpContext } from '../http-context.ts';
import { ExecutionOutputSchema } from '../../../api/execution.ts';
import { Encoding, ExecutionParams, Tail } from '../../../api/fields.ts';
import { streamReply } from '../streams/stream-reply.ts';
import { findExecution } from '../requests/lookup.ts';
import { base64Text, gather, readKept, utf8Text, wholeCharacterFrom } from '../streams/stream-bytes.ts';

/** Up to here the answer is made in one piece, with its length. */
const ONE_PIECE_BYTES = 131_072;

const OutputQuery = Type.Object({ encoding: Encoding, tail: Tail });
type OutputQuery = Static<typeof OutputQuery>;

export function outputRoutes(app: App, context: HttpContext): void {
  app.get(
    '/v1/machines/:machine_id/executions/:execution_id/output',
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'Get all the output of a finished execution',
        operationId: 'getExecutionOutput',
        tags: ['Executions'],
        params: ExecutionParams,
        querystring: OutputQuery,
        response: { 200: ExecutionOutputSchema },
      },
    },
    async (request, reply) => {
      const execution = await findExecution(context, request.params);
      if (!isTerminal(execution.status)) throw new ApiError('EXECUTION_NOT_FINISHED');
      reply.type('application/json; charset=utf-8');
      const chunks = outputJson(context, execution, request.query);
      const kept = await Promise.all([
        keptBytes(context, execution, 'stdout'),
        keptBytes(context, execution, 'stderr'),
      ]);
      if (kept[0] + kept[1] <= ONE_PIECE_BYTES) {
        const text = (await gather(chunks)).join('');
        // Written by hand above; what the schema describes is this very text.
        return reply.serializer(String).send(text as unknown as Static<typeof ExecutionOutputSchema>);
      }
      const signal = context.openRequests.open(request, reply);
      await streamReply(reply, { chunks, signal, logger: context.logger });
      return reply;
    },
  );
}

async function* outputJson(context: HttpContext, execution: Execution, query: OutputQuery): AsyncGenerator<string> {
  yield `{"execution_id":${JSON.stringify(execution.executionId)},"stdout":"`;
  yield* streamText(context, execution, 'stdout', query);
  yield '","stderr":"';
  yield* streamText(context, execution, 'stderr', query);
  const { stdout, stderr } = execution;
  yield `","stdout_bytes":${stdout.bytes},"stderr_bytes":${stderr.bytes}`;
  yield `,"stdout_truncated":${stdout.truncated},"stderr_truncated":${stderr.truncated}}`;
}

async function* streamText(
  context: HttpContext,
  execution: Execution,
  stream: 'stdout' | 'stderr',
  { encoding, tail }: OutputQuery,
): AsyncGenerator<string> {
  const { executionId } = execution;
  const end = await keptBytes(context, execution, stream);
  const start =
    tail === undefined || tail >= end
      ? 0
      : await wholeCharacterFrom(context.store, { executionId, stream, offset: end - tail });
  const bytes = readKept(context.store, { executionId, stream, start, end });
  yield* encoding === 'base64' ? base64Text(bytes) : utf8Text(bytes);
}

function keptBytes(context: HttpContext, execution: Execution, stream: 'stdout' | 'stderr'): Promise<number> {
  return context.store.keptBytes({ executionId: execution.executionId, stream });
}
