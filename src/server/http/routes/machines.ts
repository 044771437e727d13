/** List, get and remove machines. */
import type { App, Edge } from '../http-context.ts';
import { replayedResource } from '../requests/idempotency.ts';
import { notFound } from '../replies/problem.ts';
import { ListQuery, MachineParams } from '../../../api/fields.ts';
import { MachineDetailSchema, MachineListSchema } from '../../../api/machine.ts';
import { machineDetailWire, machineWire } from '../replies/wire.ts';
import { findMachine } from '../requests/lookup.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';
import { rotateRoute } from './rotate.ts';

const LIST = 'machines';

export function machineRoutes(app: App, edge: Edge): void {
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
      const asked = pageRequest(edge.cursors, LIST, request.query);
      const page = await edge.store.listMachines({ ...asked, ...(machineIds === undefined ? {} : { machineIds }) });
      return pageWire(edge.cursors, LIST, page, machineWire);
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
    async (request) => machineDetailWire(await findMachine(edge, request.params.machine_id)),
  );
  removeRoute(app, edge);
  rotateRoute(app, edge);
}

function removeRoute(app: App, edge: Edge): void {
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
      const idempotency = edge.readIdempotency(request);
      const removed = await edge.control.removeMachine({
        machineId,
        ...(idempotency === undefined ? {} : { idempotency }),
      });
      switch (removed.outcome) {
        case 'removed':
          await edge.audit.write(request, {
            action: 'machine.remove',
            machineId,
            resource: machineId,
            outcome: 'removed',
          });
          return machineDetailWire(removed.machine);
        case 'not_found': {
          // Removing what is removed already changes nothing, and is no error.
          const machine = await findMachine(edge, machineId);
          if (machine.phase !== 'destroyed') throw notFound('There is no such machine.');
          return machineDetailWire(machine);
        }
        default:
          replayedResource(removed, reply);
          return machineDetailWire(await findMachine(edge, machineId));
      }
    },
  );
}
