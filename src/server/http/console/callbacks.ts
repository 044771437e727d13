/** The route of the console that lists undelivered callbacks. */
import { WaitingCallbackListSchema, type WaitingCallbackWire } from '../../../api/console.ts';
import { ListQuery } from '../../../api/fields.ts';
import type { WaitingCallback } from '../../../store/store.ts';
import { assertAllMachines } from '../authentication/auth.ts';
import type { App, HttpContext } from '../http-context.ts';
import { time } from '../replies/wire.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';

const LIST = 'callbacks';

/** Registers the list of waiting callbacks for the console. */
export function consoleCallbackRoute(app: App, { store, cursors }: HttpContext): void {
  app.get(
    '/console/callbacks',
    {
      config: { access: 'admin' },
      schema: { hide: true, querystring: ListQuery, response: { 200: WaitingCallbackListSchema } },
    },
    async (request) => {
      assertAllMachines(request.principal);
      const pageQuery = pageRequest(cursors, LIST, request.query);
      return pageWire(cursors, LIST, await store.listCallbacks(pageQuery), callbackWire);
    },
  );
}

function callbackWire(callback: WaitingCallback): WaitingCallbackWire {
  return {
    machine_id: callback.machineId,
    execution_id: callback.executionId,
    url: callback.url,
    attempts: callback.attempts,
    created_at: time(callback.createdAt),
    due_at: time(callback.dueAt),
  };
}
