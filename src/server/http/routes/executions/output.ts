/** Serves the whole output of a finished execution as one JSON object. */
import { ExecutionParams } from '../../../../api/fields.ts';
import { ExecutionOutputSchema, OutputQuery } from '../../../../api/output.ts';
import { ApiError } from '../../../../core/errors.ts';
import { isTerminal } from '../../../../core/execution.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { findExecution } from '../../requests/lookup.ts';
import { replyJsonText } from '../../streams/json-reply.ts';
import { outputBytes, outputJson } from '../../streams/output-json.ts';

/** Registers the route of the whole output. */
export function outputRoutes(app: App, context: HttpContext): void {
  const { store } = context;
  app.get(
    '/v1/machines/:machine_id/executions/:execution_id/output',
    {
      config: { access: 'executions:read' },
      schema: {
        summary: 'Get the whole output of a finished execution',
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
      const chunks = outputJson(store, execution, request.query);
      return replyJsonText(context, request, reply, { chunks, outputBytes: await outputBytes(store, execution) });
    },
  );
}
