/** Send a signal to the process group of a running execution. */
import { Type } from 'typebox';
import { ApiError } from '../../core/errors.ts';
import type { App, Edge } from '../edge.ts';
import { actOnce } from '../idempotency.ts';
import { ExecutionSchema } from '../schemas/execution.ts';
import { ExecutionParams } from '../schemas/fields.ts';
import { executionWire } from '../schemas/wire.ts';
import { findExecution } from './lookup.ts';

/** What Linux knows by name and a caller may want to send. */
const SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGKILL',
  'SIGUSR1',
  'SIGSEGV',
  'SIGUSR2',
  'SIGPIPE',
  'SIGALRM',
  'SIGTERM',
  'SIGCHLD',
  'SIGCONT',
  'SIGSTOP',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGURG',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGVTALRM',
  'SIGPROF',
  'SIGWINCH',
  'SIGIO',
  'SIGPWR',
  'SIGSYS',
] as const;

export const SendSignalSchema = Type.Object(
  { signal: Type.Enum([...SIGNALS], { description: 'The name of the signal.', examples: ['SIGHUP'] }) },
  { additionalProperties: false, description: 'What to send.' },
);

export function signalRoutes(app: App, edge: Edge): void {
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
      const execution = await findExecution(edge, request.params);
      const idempotency = edge.readIdempotency(request);
      const { executionId, machineId } = execution;
      const { signal } = request.body;
      await actOnce(edge.store, { idempotency, resource: executionId, reply, now: edge.now() }, async () => {
        const outcome = edge.control.signal({ execution, signal });
        if (outcome === 'not_running') {
          throw new ApiError('INVALID_STATE', { message: 'The execution has not started yet.' });
        }
        if (outcome === 'agent_away') {
          throw new ApiError('INVALID_STATE', { message: 'The agent of the machine is away: nothing was sent.' });
        }
        edge.audit.note(request, {
          action: 'execution.signal',
          machineId,
          resource: executionId,
          outcome: `${signal} ${outcome}`,
        });
      });
      return executionWire(execution);
    },
  );
}
