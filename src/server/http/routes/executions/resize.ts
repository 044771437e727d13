/** Sets the size of the terminal that an execution runs on. */
import { ExecutionSchema } from '../../../../api/execution.ts';
import { ExecutionParams } from '../../../../api/fields.ts';
import { ResizeSchema } from '../../../../api/terminal.ts';
import { ApiError } from '../../../../core/errors.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { wakeRetryAfterMs } from '../../replies/wake-retry.ts';
import { executionWire } from '../../replies/wire.ts';
import { findExecution } from '../../requests/lookup.ts';

const REFUSALS = {
  not_running: 'The execution has not started yet.',
  agent_away: 'The agent of the machine is offline: nothing was sent.',
  unknown: 'The server that the agent was connected to does not answer: the size may have been set.',
} as const;

/** Registers the route that resizes a terminal. */
export function resizeRoutes(app: App, context: HttpContext): void {
  app.post(
    '/v1/machines/:machine_id/executions/:execution_id/resize',
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Set the size of its terminal; after the end a no-op',
        operationId: 'resizeExecution',
        tags: ['Executions'],
        params: ExecutionParams,
        body: ResizeSchema,
        response: { 200: ExecutionSchema },
      },
    },
    async (request) => {
      const execution = await findExecution(context, request.params);
      if (execution.tty === undefined) {
        const details = { reason: 'no_terminal' };
        throw new ApiError('INVALID_STATE', { message: 'The execution does not run on a terminal.', details });
      }
      const outcome = await context.control.resize({ execution, size: request.body });
      if (outcome !== 'sent' && outcome !== 'stale') {
        throw new ApiError('INVALID_STATE', { message: REFUSALS[outcome], details: { reason: outcome } });
      }
      return executionWire(execution, await wakeRetryAfterMs(context, execution));
    },
  );
}
