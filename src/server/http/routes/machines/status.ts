/** Serves the status changes of a machine as server-sent events, until the machine is in its desired state. */
import { MachineParams } from '../../../../api/fields.ts';
import { MachineDetailSchema } from '../../../../api/machine.ts';
import type { App, HttpContext } from '../../http-context.ts';
import { findMachine } from '../../requests/lookup.ts';
import { statusStream } from '../../streams/status-stream.ts';
import { streamReply } from '../../streams/stream-reply.ts';

/** Registers the route of the status stream. */
export function machineStatusRoute(app: App, context: HttpContext): void {
  app.get(
    '/v1/machines/:machine_id/status/stream',
    {
      config: { access: 'machines:read', produces: 'text/event-stream' },
      schema: {
        summary: 'Follow the status of a machine until it is in its desired state, or has failed',
        operationId: 'streamMachineStatus',
        tags: ['Machines'],
        params: MachineParams,
        response: { 200: MachineDetailSchema },
      },
    },
    async (request, reply) => {
      const machineId = request.params.machine_id;
      await findMachine(context, machineId);
      const signal = context.openRequests.open(request, reply);
      reply.type('text/event-stream; charset=utf-8').header('x-accel-buffering', 'no');
      const chunks = statusStream(context, { machineId, signal });
      await streamReply(reply, { chunks, signal, logger: context.logger });
      return reply;
    },
  );
}
