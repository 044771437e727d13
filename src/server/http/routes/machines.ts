/** List, get and remove machines. */
import type { App, HttpContext } from '../http-context.ts';
import { replayedResource } from '../requests/idempotency.ts';
import { notFound } from '../replies/problem.ts';
import { ListQuery, MachineParams } from '../../../api/fields.ts';
import { MachineDetailSchema, MachineListSchema } from '../../../api/machine.ts';
import { machineDetailWire, machineWire } from '../replies/wire.ts';
import { findMachine } from '../requests/lookup.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';
import { rotateRoute } from './rotate.ts';

const LIST = 'machines';

export function machineRoutes(app: App, context: HttpContext): void {
  app.get(
    '/v1/machines',
    {
      config: { access: 'machines:read' },
      schema: {
        summary: 'List machines, oldest first',
        operationId: 'listMachines',
        tags: ['Machines'],
        querystring: ListQuery,
        response: { 200: MachineListSchema },
      },
    },
    async (request) => {
      const { machineIds } = request.principal;
      const asked = pageRequest(context.cursors, LIST, request.query);
      const page = await context.store.listMachines({ ...asked, ...(machineIds === undefined ? {} : { machineIds }) });
      return pageWire(context.cursors, LIST, page, machineWire);
    },
  );
  app.get(
    '/v1/machines/:machine_id',
    {
      config: { access: 'machines:read' },
      schema: {
        summary: 'Get a machine, also a removed one',
        operationId: 'getMachine',
        tags: ['Machines'],
        params: MachineParams,
        response: { 200: MachineDetailSchema },
      },
    },
    async (request) => machineDetailWire(await findMachine(context, request.params.machine_id)),
  );
  removeRoute(app, context);
  rotateRoute(app, context);
}

function removeRoute(app: App, context: HttpContext): void {
  app.delete(
    '/v1/machines/:machine_id',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Remove a machine for good',
        operationId: 'removeMachine',
        tags: ['Machines'],
        params: MachineParams,
        response: { 200: MachineDetailSchema },
      },
    },
    async (request, reply) => {
      const machineId = request.params.machine_id;
      const idempotency = context.readIdempotency(request);
      const removed = await context.control.removeMachine({
        machineId,
        ...(idempotency === undefined ? {} : { idempotency }),
      });
      switch (removed.outcome) {
        case 'removed':
          await context.audit.write(request, {
            action: 'machine.remove',
            machineId,
            resource: machineId,
            outcome: 'removed',
          });
          return machineDetailWire(removed.machine);
        case 'not_found': {
          // Removing what is removed already changes nothing, and is no error.
          const machine = await findMachine(context, machineId);
          if (machine.phase !== 'destroyed') throw notFound('There is no such machine.');
          return machineDetailWire(machine);
        }
        default:
          replayedResource(removed, reply);
          return machineDetailWire(await findMachine(context, machineId));
      }
    },
  );
}
