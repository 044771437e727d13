/** The first thing that happens to a request: its id is told, then whether it may come in. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';
import { type Access, authenticate, authorise } from './auth.ts';
import type { HttpContext } from '../http-context.ts';
import { notFound } from '../replies/problem.ts';
import { createRateLimiter } from './rate-limit.ts';
import { SECURITY_HEADERS } from '../replies/security-headers.ts';

/** Refusals of admin routes that are written to the audit trail each second; a flood would only hide them. */
const AUDITED_REFUSALS_PER_SECOND = 10;

type Done = (error?: Error) => void;

/** Fastify's onRequest hook: 401 and 403 come before anything is read, parsed or looked up. */
export function accessHook(context: HttpContext) {
  const refusals = createRateLimiter({ perSecond: AUDITED_REFUSALS_PER_SECOND, now: context.now });

  const refused = (error: unknown, request: FastifyRequest, access: Access, done: Done): void => {
    if (access === 'admin' && error instanceof ApiError && refusals.take('') === 0) {
      context.audit.note(request, { action: 'auth.refuse', resource: routeName(request), outcome: error.code });
    }
    done(error as Error);
  };

  return (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    reply.header('x-request-id', request.id);
    reply.headers(SECURITY_HEADERS);
    const access = accessOf(request);
    if (access === 'public') {
      done(request.is404 ? notFound() : undefined);
      return;
    }
    const admit = (): void => {
      if (request.is404) throw notFound();
      authorise(request, access);
    };
    try {
      const pending = authenticate(context, request);
      if (pending !== undefined) {
        pending.then(admit).then(
          () => done(),
          (error: unknown) => refused(error, request, access, done),
        );
        return;
      }
      admit();
    } catch (error) {
      refused(error, request, access, done);
      return;
    }
    done();
  };
}

/** Below /v1/ even what does not exist is shown only to those with a key. */
function accessOf(request: FastifyRequest): Access {
  if (request.is404) return request.url.startsWith('/v1/') ? 'any_key' : 'public';
  return request.routeOptions.config.access ?? 'any_key';
}

function routeName(request: FastifyRequest): string {
  return `${request.method} ${request.routeOptions.url ?? ''}`;
}
