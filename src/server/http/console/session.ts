/** Signs in to the console with an API key, returns the session, signs out. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';
import { type ConsoleSession as ConsoleSessionWire, ConsoleSessionSchema, SignInSchema } from '../../../api/console.ts';
import { type ConsoleSession, isFromConsole } from '../authentication/console-session.ts';
import { type Principal, secretHash } from '../authentication/key-ring.ts';
import type { App, HttpContext } from '../http-context.ts';

const PATH = '/console/session';

/** Registers the routes that sign in, read the session and sign out. */
export function consoleSessionRoutes(app: App, context: HttpContext, version: string): void {
  const { consoleSessions } = context;
  const schema = { hide: true, response: { 200: ConsoleSessionSchema } };
  const answer = async (principal: Principal, session: ConsoleSession): Promise<ConsoleSessionWire> => {
    const key = await context.store.getApiKey({ apiKeyId: principal.apiKeyId });
    const { machineIds, expiresAt = session.expiresAt } = principal;
    return {
      api_key_id: principal.apiKeyId,
      ...(key === undefined ? {} : { name: key.name }),
      ...(principal.user === undefined ? {} : { user: principal.user }),
      scopes: [...principal.scopes],
      ...(machineIds === undefined ? {} : { machine_ids: [...machineIds] }),
      expires_at: new Date(Math.min(expiresAt, session.expiresAt)).toISOString(),
      version,
    };
  };
  const give = (request: FastifyRequest, reply: FastifyReply, session: ConsoleSession | undefined): void => {
    reply.header('set-cookie', consoleSessions.cookie(request, session));
  };

  app.post(
    PATH,
    { config: { access: 'public' }, schema: { ...schema, body: SignInSchema } },
    async (request, reply) => {
      if (!isFromConsole(request))
        throw new ApiError('AUTH_REQUIRED', { message: 'Sign in on the page of the console.' });
      const keyHash = secretHash(request.body.key);
      const principal = await context.keys.findHash(keyHash);
      if (principal === undefined) throw new ApiError('AUTH_INVALID');
      request.principal = principal;
      await context.audit.write(request, { action: 'console.sign_in', outcome: 'signed_in' });
      const session = consoleSessions.begin(keyHash);
      give(request, reply, session);
      return answer(principal, session);
    },
  );

  app.get(PATH, { config: { access: 'any_key' }, schema }, async (request, reply) => {
    const session = request.consoleSession;
    if (session === undefined) throw new ApiError('AUTH_REQUIRED', { message: 'There is no valid session: sign in.' });
    const renewed = consoleSessions.renew(session);
    if (renewed !== undefined) give(request, reply, renewed);
    return answer(request.principal, renewed ?? session);
  });

  // An ended session can be signed out too, because a browser may be shared.
  app.delete(PATH, { config: { access: 'public' }, schema: { hide: true } }, async (request, reply) => {
    if (!isFromConsole(request))
      throw new ApiError('AUTH_REQUIRED', { message: 'Sign out on the page of the console.' });
    await endUserKey(context, request);
    give(request, reply, undefined);
    return reply.code(204).send();
  });
}

/** Revokes the API key that was created for the session of a user who signed in by name. */
async function endUserKey(context: HttpContext, request: FastifyRequest): Promise<void> {
  const session = context.consoleSessions.read(request);
  const principal = session === undefined ? undefined : await context.keys.findHash(session.keyHash);
  if (principal?.user === undefined) return;
  const { apiKeyId } = principal;
  await context.store.revokeApiKey({ apiKeyId, now: context.now() });
  context.keys.forget(apiKeyId);
  context.openRequests.endKey(apiKeyId);
  request.principal = principal;
  await context.audit.write(request, { action: 'console.sign_out', resource: apiKeyId, outcome: 'signed_out' });
}
