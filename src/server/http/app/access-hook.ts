/** Identifies the principal of each request and decides whether it may act: after its head, and again when its body is complete. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';
import { type Access, authenticate, authorise } from '../authentication/auth.ts';
import type { HttpContext } from '../http-context.ts';
import type { Principal } from '../authentication/key-ring.ts';
import { assertHead, assertNoContentCoding } from './request-head.ts';
import { notFound } from '../replies/problem.ts';
import { createRateLimiter } from '../authentication/rate-limit.ts';
import { SECURITY_HEADERS } from '../replies/security-headers.ts';

/** Refusals of admin routes that are written to the audit trail each second. A flood would hide them. */
const AUDITED_REFUSALS_PER_SECOND = 10;

type Done = (error?: Error) => void;

/** Fastify's onRequest hook. Answers 401 and 403 before anything is read, parsed or looked up. */
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
    try {
      assertHead(request);
    } catch (error) {
      done(error as Error);
      return;
    }
    if (access === 'public') {
      done(request.is404 ? notFound() : undefined);
      return;
    }
    const admit = (): void => {
      if (request.is404) throw notFound();
      authorise(request, access);
      assertNoContentCoding(request);
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

/**
 * Fastify's preValidation hook: checks the key once more when the body is complete. A body may take minutes, and its key may be revoked
 * or expire meanwhile.
 */
export function accessAfterBody({ keys }: Pick<HttpContext, 'keys'>) {
  return (request: FastifyRequest, _reply: FastifyReply, done: Done): void => {
    const { principal, body } = request as { principal?: Principal; body: unknown };
    if (principal === undefined || body === undefined) {
      done();
      return;
    }
    const judge = (found: Principal | undefined): void => {
      done(found === undefined ? new ApiError('AUTH_INVALID') : undefined);
    };
    const found = keys.findHash(principal.keyHash);
    if (found instanceof Promise) found.then(judge, done);
    else judge(found);
  };
}

/** Below /v1/, even a missing resource is reported only to requests with a key. */
function accessOf(request: FastifyRequest): Access {
  if (request.is404) return request.url.startsWith('/v1/') ? 'any_key' : 'public';
  return request.routeOptions.config.access ?? 'any_key';
}

function routeName(request: FastifyRequest): string {
  return `${request.method} ${request.routeOptions.url ?? ''}`;
}
