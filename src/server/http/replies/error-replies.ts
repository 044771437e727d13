/** The one place where an error becomes an answer: its status, its shape, its headers, and its line in the log. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { API_ERRORS, ApiError } from '../../../core/errors.ts';
import { StoreUnavailableError } from '../../../store/store.ts';
import { isRetryableStatus, Problem, problemBody } from './problem.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

const DEFAULT_RETRY_AFTER_MS = 1000;
const MAX_RETRY_AFTER_MS = 60_000;

/** Answers for errors thrown by hooks, parsers, validators and routes; what is our fault is logged here, once. */
export function errorHandler(logger: Logger) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    // Whoever hangs up in the middle of a body hears nothing of this; it is no fault of ours, and no error in the log.
    const refusal = request.raw.readableAborted ? new Problem(400, 'The request broke off.') : refusalOf(error);
    if (refusal instanceof Problem && refusal.status >= 500) {
      logger.error(
        { err: error, [LOG_KEY.requestId]: request.id, [LOG_KEY.route]: request.routeOptions.url },
        'request failed',
      );
    } else if (error instanceof StoreUnavailableError) {
      logger.warn(
        { err: error, [LOG_KEY.requestId]: request.id, [LOG_KEY.route]: request.routeOptions.url },
        'store unavailable',
      );
    }
    const { status, headers, body } = errorReply(refusal, request.id);
    readToEnd(request, reply);
    reply.code(status).headers(headers).serializer(JSON.stringify).send(body);
  };
}

/**
 * A body that nobody wants any more is read away, within the time that requests have. The framework would close the
 * connection on it, and whoever is still sending sees a broken pipe instead of the answer (RFC 9112, section 9.6).
 */
function readToEnd(request: FastifyRequest, reply: FastifyReply): void {
  reply.removeHeader('connection');
  request.raw.resume();
}

/** The headers that tell a client whether and when to try again; `undefined`: a retry cannot help. */
function retryHeaders(retryAfterMs: number | undefined): Record<string, string> {
  if (retryAfterMs === undefined) return { 'x-should-retry': 'false' };
  const ms = Math.min(Math.max(Math.ceil(retryAfterMs), 1), MAX_RETRY_AFTER_MS);
  return { 'x-should-retry': 'true', 'retry-after-ms': String(ms), 'retry-after': String(Math.ceil(ms / 1000)) };
}

/** An error as it is answered. */
export interface ErrorReply {
  status: number;
  headers: Record<string, string>;
  body: Record<string, unknown>;
}

/** The status, headers and body of a refusal: of a registered code as JSON, of any other as a problem (contract §1). */
export function errorReply(error: ApiError | Problem, requestId: string): ErrorReply {
  return error instanceof ApiError ? apiErrorReply(error) : problemReply(error, requestId);
}

function apiErrorReply(error: ApiError): ErrorReply {
  const { status } = API_ERRORS[error.code];
  const headers = retryHeaders(error.retryAfterMs);
  const retryAfterMs = headers['retry-after-ms'];
  return {
    status,
    headers: {
      'content-type': 'application/json',
      ...headers,
      ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    },
    body: {
      error_code: error.code,
      message: error.message,
      retryable: error.retryable,
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: Number(retryAfterMs) }),
      ...(error.details === undefined ? {} : { details: error.details }),
    },
  };
}

function problemReply(problem: Problem, requestId: string): ErrorReply {
  return {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      ...retryHeaders(isRetryableStatus(problem.status) ? DEFAULT_RETRY_AFTER_MS : undefined),
      ...problem.headers,
    },
    body: problemBody(problem, requestId),
  };
}

function refusalOf(error: unknown): ApiError | Problem {
  if (error instanceof ApiError || error instanceof Problem) return error;
  if (error instanceof StoreUnavailableError) return new ApiError('DEPENDENCY_UNAVAILABLE', { cause: error });
  const status = statusOf(error);
  const detail = DETAILS[status];
  return detail === undefined
    ? new Problem(500, 'The server failed to answer; the fault is ours. The request id identifies it in the log.')
    : new Problem(status, detail);
}

/** What the framework refuses by itself; anything else is a fault of ours. */
const DETAILS: Readonly<Record<number, string>> = {
  400: 'The request is malformed.',
  404: 'There is nothing at this address.',
  408: 'The request did not arrive in time.',
  413: 'The body is larger than the server takes.',
  415: 'The body has a media type that this route does not take.',
  431: 'The headers are larger than the server takes.',
};

/** A bad URL or an overlong id names nothing: 404, like every other address that leads nowhere. */
function statusOf(error: unknown): number {
  if (!isFrameworkError(error)) return 500;
  if (error.code === 'FST_ERR_BAD_URL' || error.code === 'FST_ERR_MAX_PARAM_LENGTH') return 404;
  return error.statusCode ?? 500;
}

function isFrameworkError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_');
}
