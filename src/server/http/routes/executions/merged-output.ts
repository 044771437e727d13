/** Serves both streams of an execution together, in the order in which they were read on the machine. */
import { ExecutionParams } from '../../../../api/fields.ts';
import { MergedOutputQuery } from '../../../../api/output.ts';
import type { Stream } from '../../../../core/execution.ts';
import type { Execution } from '../../../../store/store.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { Problem } from '../../replies/problem.ts';
import { findExecution } from '../../requests/lookup.ts';
import { followedOutput, followHeaders, mergedReaderOf } from '../../streams/followed-output.ts';
import { streamReply } from '../../streams/stream-reply.ts';

/** The media type that Docker uses for the same frames. */
const MULTIPLEXED = 'application/vnd.docker.multiplexed-stream';

const DOCUMENTED = { refusals: [416] } as const;

/** Registers the route of both streams together. */
export function mergedOutputRoutes(app: App, context: HttpContext): void {
  app.get(
    '/v1/machines/:machine_id/executions/:execution_id/output/merged',
    {
      config: { access: 'executions:read', produces: MULTIPLEXED, documented: DOCUMENTED },
      schema: {
        summary: 'Follow both streams in one, in the order in which they were read, until the execution ends',
        description:
          'Frames as in Docker: one byte (1: stdout, 2: stderr), three zero bytes, the length as four bytes (big-endian), and that many bytes.',
        operationId: 'followExecutionOutput',
        tags: ['Executions'],
        params: ExecutionParams,
        querystring: MergedOutputQuery,
      },
    },
    async (request, reply) => {
      const execution = await findExecution(context, request.params);
      const { stdout_offset: stdout, stderr_offset: stderr } = request.query;
      const { executionId } = execution;
      const start = {
        stdout: await startOf(context, execution, 'stdout', stdout),
        stderr: await startOf(context, execution, 'stderr', stderr),
      };
      const signal = context.openRequests.open(request, reply);
      reply.type(MULTIPLEXED).header('cache-control', 'private, no-cache');
      reply.headers(followHeaders(context.config, execution));
      const chunks = followedOutput(context, {
        execution,
        place: mergedReaderOf(context.store, executionId, start),
        signal,
      });
      await streamReply(reply, { chunks, signal, logger: context.logger });
      return reply;
    },
  );
}

/** Returns `offset`, or the first byte that is kept if there is none. Throws a Problem (416) if the stream has no such byte. */
async function startOf({ control }: HttpContext, execution: Execution, stream: Stream, offset: number | undefined) {
  const { start, followableTo } = await control.output.bounds(execution, stream);
  const wanted = offset ?? start;
  if (wanted < start || wanted > followableTo) throw new Problem(416, `${stream} has no such bytes.`);
  return wanted;
}
