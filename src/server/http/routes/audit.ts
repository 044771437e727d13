/** Read the audit trail. */
import type { App, HttpContext } from '../http-context.ts';
import { AuditListSchema } from '../../../api/admin.ts';
import { ListQuery } from '../../../api/fields.ts';
import { auditEntryWire } from '../replies/wire.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';

/** Registers the route of the audit trail. */
export function auditRoutes(app: App, context: HttpContext): void {
  app.get(
    '/v1/audit',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Read the audit trail, newest first',
        operationId: 'listAudit',
        tags: ['Administration'],
        querystring: ListQuery,
        response: { 200: AuditListSchema },
      },
    },
    async (request) => {
      const { machineIds } = request.principal;
      const asked = pageRequest(context.cursors, 'audit', request.query);
      // The answer includes everything that was done before the request.
      await context.audit.flush();
      const page = await context.store.listAudit({ ...asked, ...(machineIds === undefined ? {} : { machineIds }) });
      return pageWire(context.cursors, 'audit', page, auditEntryWire);
    },
  );
}
