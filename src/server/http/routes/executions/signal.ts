/** Sends a signal to the process group of a running execution. */
import { ApiError } from '../../../../core/errors.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { withIdempotencyKey } from '../../requests/idempotency.ts';
import { ExecutionSchema } from '../../../../api/execution.ts';
import { ExecutionParams } from '../../../../api/fields.ts';
import { SendSignalSchema } from '../../../../api/interaction.ts';
import { wakeRetryAfterMs } from '../../replies/wake-retry.ts';
import { executionWire } from '../../replies/wire.ts';
import { findExecution } from '../../requests/lookup.ts';

const REFUSALS = {
  not_running: 'The execution has not started yet.',
  agent_away: 'The agent of the machine is offline: nothing was sent.',
  unknown: 'The server that the agent was connected to does not answer: the signal may have been sent.',
} as const;

/** Registers the route that sends a signal. */
export function signalRoutes(app: App, context: HttpContext): void {
  app.post(
    '/v1/machines/:machine_id/executions/:execution_id/signal',
    {
      config: { access: 'executions:write' },
      schema: {
        summary: 'Send a signal to the process group; after the end a no-op',
        operationId: 'signalExecution',
        tags: ['Executions'],
        params: ExecutionParams,
        body: SendSignalSchema,
        response: { 200: ExecutionSchema },
      },
    },
    async (request, reply) => {
      const execution = await findExecution(context, request.params);
      const onBehalf = await context.onBehalfOf(request);
      const { executionId, machineId } = execution;
      const { signal } = request.body;
      await withIdempotencyKey(
        context.store,
        { onBehalf, resource: executionId, reply, now: context.now() },
        async (replayed) => {
          if (replayed) return;
          const outcome = await context.control.signal({ execution, signal });
          if (outcome !== 'sent' && outcome !== 'stale') {
            throw new ApiError('INVALID_STATE', { message: REFUSALS[outcome], details: { reason: outcome } });
          }
          context.audit.note(request, {
            action: 'execution.signal',
            machineId,
            resource: executionId,
            outcome: `${signal} ${outcome}`,
          });
        },
      );
      return executionWire(execution, await wakeRetryAfterMs(context, execution));
    },
  );
}
