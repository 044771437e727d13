/** List and get machines. */
import type { App, HttpContext } from '../../http-context.ts';
import { ListQuery, MachineParams } from '../../../../api/fields.ts';
import { MachineDetailSchema, MachineListSchema } from '../../../../api/machine.ts';
import { machineDetailWire, machineWire } from '../../replies/wire.ts';
import { findMachine } from '../../requests/lookup.ts';
import { pageRequest, pageWire } from '../../requests/paging.ts';
import { machineLifecycleRoutes } from './lifecycle.ts';
import { machineStatusRoute } from './status.ts';
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
        summary: 'Get a machine; a removed one for 24 h',
        operationId: 'getMachine',
        tags: ['Machines'],
        params: MachineParams,
        response: { 200: MachineDetailSchema },
      },
    },
    async (request, reply) => {
      const machine = await findMachine(context, request.params.machine_id);
      reply.header('etag', `"${machine.revision}"`);
      return machineDetailWire(machine);
    },
  );
  machineLifecycleRoutes(app, context);
  machineStatusRoute(app, context);
  rotateRoute(app, context);
}
