/** Reads, exports and releases the audit trail. */
import { AuditExportQuery, AuditListSchema, ReleaseAuditSchema, ReleasedAuditSchema } from '../../../api/admin.ts';
import { ListQuery } from '../../../api/fields.ts';
import { ApiError } from '../../../core/errors.ts';
import type { AuditEntry } from '../../../store/store.ts';
import { assertAllMachines } from '../authentication/auth.ts';
import type { App, HttpContext } from '../http-context.ts';
import { auditEntryWire } from '../replies/wire.ts';
import { pageRequest, pageWire } from '../requests/paging.ts';
import { streamReply } from '../streams/stream-reply.ts';

/** Number of entries in memory at a time. */
const EXPORT_STEP = 500;

/**
 * Age from which entries are exported, ms. Of several servers, one may commit an entry after another has committed a later one. An export that
 * missed such an entry would let it be deleted.
 */
const SETTLED_MS = 30_000;

/** Registers the routes of the audit trail. */
export function auditRoutes(app: App, context: HttpContext): void {
  listRoute(app, context);
  exportRoute(app, context);
  releaseRoute(app, context);
}

function listRoute(app: App, context: HttpContext): void {
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
      const pageQuery = pageRequest(context.cursors, 'audit', request.query);
      // The answer includes everything that was done before the request.
      await context.audit.flush();
      const page = await context.store.listAudit({ ...pageQuery, ...(machineIds === undefined ? {} : { machineIds }) });
      return pageWire(context.cursors, 'audit', page, auditEntryWire);
    },
  );
}

function exportRoute(app: App, context: HttpContext): void {
  app.get(
    '/v1/audit/export',
    {
      config: { access: 'admin', produces: 'application/x-ndjson' },
      schema: {
        summary: 'Export the audit trail, oldest first, one entry per line',
        operationId: 'exportAudit',
        tags: ['Administration'],
        querystring: AuditExportQuery,
      },
    },
    async (request, reply) => {
      await context.audit.flush();
      const signal = context.openRequests.open(request, reply);
      reply.type('application/x-ndjson; charset=utf-8').header('cache-control', 'no-store');
      const after = Number(request.query.after ?? 0);
      const chunks = exportedLines(context, { after, machineIds: request.principal.machineIds });
      await streamReply(reply, { chunks, signal, logger: context.logger });
      return reply;
    },
  );
}

/** Yields the lines of all present entries. Records the last exported one, unless the key is limited to some machines. */
async function* exportedLines(
  { store, now }: Pick<HttpContext, 'store' | 'now'>,
  { after, machineIds }: { after: number; machineIds: readonly string[] | undefined },
): AsyncGenerator<string> {
  const newest = (await store.listAudit({ limit: 1 })).items[0]?.auditId ?? 0;
  const settledAt = store.cluster === undefined ? Number.POSITIVE_INFINITY : now() - SETTLED_MS;
  const some = machineIds === undefined ? {} : { machineIds };
  let last = after;
  for (let more = true; more; ) {
    const entries = await store.exportAudit({ ...some, after: last, limit: EXPORT_STEP });
    const end = entries.findIndex(({ auditId, at }) => auditId > newest || at > settledAt);
    const wanted = end === -1 ? entries : entries.slice(0, end);
    more = end === -1 && entries.length === EXPORT_STEP;
    last = wanted.at(-1)?.auditId ?? last;
    if (wanted.length > 0) yield wanted.map(lineOf).join('');
  }
  if (machineIds === undefined && last > after) await store.noteAuditExported({ through: last });
}

function lineOf(entry: AuditEntry): string {
  return `${JSON.stringify(auditEntryWire(entry))}\n`;
}

function releaseRoute(app: App, context: HttpContext): void {
  app.post(
    '/v1/audit/release',
    {
      config: { access: 'admin' },
      schema: {
        summary: 'Let the server delete entries of the audit trail that were exported and are stored elsewhere',
        operationId: 'releaseAudit',
        tags: ['Administration'],
        body: ReleaseAuditSchema,
        response: { 200: ReleasedAuditSchema },
      },
    },
    async (request) => {
      assertAllMachines(request.principal);
      const { through } = request.body;
      const outcome = await context.store.releaseAudit({ through: Number(through) });
      await context.audit.write(request, { action: 'audit.release', resource: through, outcome });
      if (outcome === 'released') return { through };
      throw new ApiError('INVALID_STATE', {
        message: 'No export has sent the entries up to this one: export them first, and release what is stored.',
        details: { reason: outcome },
      });
    },
  );
}
