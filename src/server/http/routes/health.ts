/** Serves liveness and readiness. No key is needed. */
import { HealthSchema } from '../../../api/health.ts';
import { ApiError } from '../../../core/errors.ts';
import type { App, HttpContext } from '../http-context.ts';

/** Time for which the result of a check is valid, in ms: requests are not authenticated, and a check writes to the store. */
const READY_FOR_MS = 1000;

/** Registers `/healthz` and `/readyz`. */
export function healthRoutes(app: App, context: HttpContext): void {
  const config = { access: 'public' } as const;
  const response = { 200: HealthSchema };
  app.get(
    '/healthz',
    {
      config,
      schema: { summary: 'Check that the process runs', operationId: 'getHealth', tags: ['Health'], response },
    },
    async () => ({ status: 'ok' as const }),
  );
  const checkReady = readiness(context);
  app.get(
    '/readyz',
    {
      config,
      schema: { summary: 'Check that requests can be served', operationId: 'getReadiness', tags: ['Health'], response },
    },
    async () => {
      await checkReady();
      return { status: 'ok' as const };
    },
  );
  app.addHook('preClose', async () => checkReady.stop());
}

/** Checks readiness: one check at a time, shared by all requests within a second. In a cluster the heartbeats are these checks. */
function readiness(context: HttpContext): (() => Promise<void>) & { stop: () => void } {
  let checked: Promise<void> | undefined;
  let goodUntil = 0;
  let stopping = false;
  const check = (): Promise<void> => {
    if (stopping) throw new ApiError('DEPENDENCY_UNAVAILABLE', { message: 'The server is stopping.' });
    if (!context.control.ready)
      throw new ApiError('DEPENDENCY_UNAVAILABLE', { message: 'The server cannot serve requests now: see its log.' });
    if (context.store.cluster !== undefined) return Promise.resolve();
    if (checked === undefined || context.now() >= goodUntil) {
      goodUntil = context.now() + READY_FOR_MS;
      checked = context.store.checkWritable();
    }
    return checked;
  };
  return Object.assign(check, {
    stop: () => {
      stopping = true;
    },
  });
}
