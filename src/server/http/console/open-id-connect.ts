/** Routes of the sign-in to the console through the OpenID Connect provider. Each session has an API key of its own, which ends with it. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { nanoid } from 'nanoid';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { ApiKey } from '../../../store/store.ts';
import { type SignInProblem, SignInWaysSchema } from '../../../api/console.ts';
import { scopesOfGroups } from '../../group-scopes.ts';
import { newApiKey } from '../authentication/admin-key.ts';
import { clientAddress } from '../authentication/client-address.ts';
import { SESSION_MS } from '../authentication/console-session.ts';
import { actorName, secretHash } from '../authentication/key-ring.ts';
import type { OpenIdConnect, SignedInUser } from '../authentication/open-id-connect.ts';
import { cookieName, cookieValue, setCookie } from '../authentication/cookies.ts';
import { seal, unseal } from '../authentication/sealed-text.ts';
import type { App, HttpContext } from '../http-context.ts';
import { baseUrlOf } from '../terminals/terminal-wire.ts';

const START = '/console/open-id-connect/start';
const CALLBACK = '/console/open-id-connect/callback';
const COOKIE = 'execplane_sign_in';
/** Time limit for a sign-in at the provider, ms. */
const ATTEMPT_MS = 15 * 60 * 1000;

/** The sealed state that the browser keeps while its user is at the provider. */
const AttemptSchema = Type.Object({
  state: Type.String(),
  nonce: Type.String(),
  verifier: Type.String(),
  return_to: Type.String(),
  /** ms since the epoch. */
  ends_at: Type.Number(),
});

const StartQuery = Type.Object({
  return_to: Type.Optional(
    Type.String({ maxLength: 2048, description: 'The page of the console to show afterwards.' }),
  ),
});

/** `provider`: absent if users sign in with API keys only. */
export function openIdConnectRoutes(app: App, context: HttpContext, provider: OpenIdConnect | undefined): void {
  const config = { access: 'public' } as const;
  app.get('/console/sign-in-ways', { config, schema: { hide: true, response: { 200: SignInWaysSchema } } }, async () =>
    provider === undefined ? {} : { open_id_connect: { provider: provider.providerName } },
  );
  if (provider === undefined) return;

  app.get(START, { config, schema: { hide: true, querystring: StartQuery } }, async (request, reply) => {
    try {
      const { url, attempt } = await provider.begin(`${baseUrlOf(request, context.config)}${CALLBACK}`);
      const kept = { ...attempt, return_to: ownPath(request.query.return_to), ends_at: context.now() + ATTEMPT_MS };
      const value = seal(context.signInKey, Buffer.from(JSON.stringify(kept)));
      // Lax, because the browser comes back from another site.
      const cookie = setCookie(request, { name: COOKIE, value, maxAgeMs: ATTEMPT_MS, sameSite: 'Lax' });
      return reply.header('set-cookie', cookie).header('cache-control', 'no-store').redirect(url.href, 303);
    } catch (error) {
      context.logger.warn(
        { err: error },
        'a sign-in could not begin: check EXECPLANE_OIDC_ISSUER, and that this server reaches it',
      );
      return toSignIn(reply, 'provider_failed');
    }
  });

  app.get(CALLBACK, { config, schema: { hide: true } }, async (request, reply) => {
    reply.header('cache-control', 'no-store');
    const attempt = readAttempt(context, request);
    reply.header('set-cookie', setCookie(request, { name: COOKIE, value: '', maxAgeMs: 0, sameSite: 'Lax' }));
    if (attempt === undefined) return toSignIn(reply, 'took_too_long');
    const callback = new URL(request.url, baseUrlOf(request, context.config));
    const user = await provider.finish({ callback, attempt }).catch((error: unknown) => {
      context.logger.warn(
        { err: error },
        'the OpenID Connect provider did not confirm a sign-in; the user can try again',
      );
      return undefined;
    });
    if (user === undefined) return toSignIn(reply, 'provider_failed');
    const session = await signIn(context, { request, user, provider });
    if (session === undefined) return toSignIn(reply, 'no_access');
    reply.header('set-cookie', context.consoleSessions.cookie(request, session));
    return reply.redirect(attempt.return_to, 303);
  });
}

/** Returns the session of a user whose groups have scopes, otherwise `undefined`. The audit trail records both cases with the user's name. */
async function signIn(
  context: HttpContext,
  { request, user, provider }: { request: FastifyRequest; user: SignedInUser; provider: OpenIdConnect },
) {
  const scopes = scopesOfGroups(provider.groupScopes, user.groups);
  const source = clientAddress(request);
  const apiKeyId = `key-${nanoid(16)}`;
  const actor = actorName({ apiKeyId, user: user.name });
  if (scopes.length === 0) {
    context.audit.noteAs({ actor, source }, { action: 'console.sign_in', outcome: 'no_access' });
    return undefined;
  }
  const now = context.now();
  const apiKey: ApiKey = {
    apiKeyId,
    name: `${user.name} (console)`,
    user: user.name,
    scopes,
    createdAt: now,
    expiresAt: now + SESSION_MS,
  };
  const keyHash = secretHash(newApiKey());
  await context.store.createApiKey({ apiKey, keyHash, now });
  context.audit.noteAs({ actor, source }, { action: 'console.sign_in', resource: apiKeyId, outcome: 'signed_in' });
  return context.consoleSessions.begin(keyHash);
}

function readAttempt(context: HttpContext, request: FastifyRequest) {
  const value = cookieValue(request, cookieName(request, COOKIE));
  const plain = value === undefined ? undefined : unseal(context.signInKey, value);
  const attempt: unknown = plain === undefined ? undefined : JSON.parse(plain.toString());
  return Value.Check(AttemptSchema, attempt) && context.now() < attempt.ends_at ? attempt : undefined;
}

function toSignIn(reply: FastifyReply, problem: SignInProblem): FastifyReply {
  return reply.redirect(`/sign-in?problem=${problem}`, 303);
}

/** Returns `path` if it is a path on this server: `//host` and `/\host` are not. */
function ownPath(path: string | undefined): string {
  return path !== undefined && /^\/(?![/\\])[!-~]*$/.test(path) && !path.startsWith('/sign-in') ? path : '/';
}
