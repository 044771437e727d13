/** Lists and gets machines. */
import type { App, HttpContext } from '../../http-context.ts';
import { MachineParams } from '../../../../api/fields.ts';
import { MachineDetailSchema, MachineListQuery, MachineListSchema, MachineQuery } from '../../../../api/machine.ts';
import { machineReasonWire } from '../../replies/reasons.ts';
import { machineDetailWire, machineWire } from '../../replies/wire.ts';
import { readSelectors } from '../../requests/machines/labels.ts';
import { findMachine } from '../../requests/lookup.ts';
import { pageRequest, pageWire } from '../../requests/paging.ts';
import { machineLifecycleRoutes } from './lifecycle.ts';
import { machineStatusRoute } from './status.ts';
import { rotateRoute } from './rotate.ts';

const LIST = 'machines';

/** Registers the routes that list and get machines. */
export function machineRoutes(app: App, context: HttpContext): void {
  app.get(
    '/v1/machines',
    {
      config: { access: 'machines:read' },
      schema: {
        summary: 'List machines, oldest first',
        operationId: 'listMachines',
        tags: ['Machines'],
        querystring: MachineListQuery,
        response: { 200: MachineListSchema },
      },
    },
    async (request) => {
      const { machineIds } = request.principal;
      const { include, name, label = [] } = request.query;
      const labels = readSelectors(label);
      const list = [LIST, ...(name === undefined ? [] : [`name ${name}`]), ...label].join(' ');
      const pageQuery = pageRequest(context.cursors, list, request.query);
      const page = await context.store.listMachines({
        ...pageQuery,
        labels,
        ...(name === undefined ? {} : { name }),
        ...(machineIds === undefined ? {} : { machineIds }),
      });
      return pageWire(context.cursors, list, page, (machine) => ({
        ...machineWire(machine, include),
        ...(include?.includes('reason') ? { reason: machineReasonWire(context, machine) } : {}),
      }));
    },
  );
  app.get(
    '/v1/machines/:machine_id',
    {
      config: { access: 'machines:read' },
      schema: {
        summary: 'Get a machine; removed machines are shown for 24 h',
        operationId: 'getMachine',
        tags: ['Machines'],
        params: MachineParams,
        querystring: MachineQuery,
        response: { 200: MachineDetailSchema },
      },
    },
    async (request, reply) => {
      const machine = await findMachine(context, request.params.machine_id);
      reply.header('etag', `"${machine.revision}"`);
      const { include } = request.query;
      const reason = include?.includes('reason') ? { reason: machineReasonWire(context, machine) } : {};
      return { ...machineDetailWire(machine, include), ...reason };
    },
  );
  machineLifecycleRoutes(app, context);
  machineStatusRoute(app, context);
  rotateRoute(app, context);
}
