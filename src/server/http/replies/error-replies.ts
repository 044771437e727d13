/** Turns errors into answers with status, headers and body, and logs them. Nothing else does. */
import type { IncomingMessage } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { API_ERRORS, ApiError } from '../../../core/errors.ts';
import { StoreUnavailableError } from '../../../store/store.ts';
import { isRetryableStatus, Problem, problemBody } from './problem.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

const DEFAULT_RETRY_AFTER_MS = 1000;
const MAX_RETRY_AFTER_MS = 60_000;

/** Answers errors thrown by hooks, parsers, validators and routes. Faults of the server are logged here, once. */
export function errorHandler(logger: Logger) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    // A client that disconnects in the middle of a body does not get this answer. It is not a fault of the server, so it is not logged as an
    // error.
    const refusal = request.raw.readableAborted
      ? new Problem(400, 'The connection was closed before the request was complete.')
      : refusalOf(error);
    if (refusal instanceof Problem && refusal.status >= 500) {
      logger.error(
        { err: error, [LOG_KEY.requestId]: request.id, [LOG_KEY.route]: request.routeOptions.url },
        'request failed: an error of the server, answered with 500; report it',
      );
    } else if (error instanceof StoreUnavailableError) {
      logger.warn(
        { err: error, [LOG_KEY.requestId]: request.id, [LOG_KEY.route]: request.routeOptions.url },
        'the database is unavailable, and a request was answered with 503: check its disk, or PostgreSQL',
      );
    }
    const { status, headers, body } = errorReply(refusal, request.id);
    readToEnd(request, reply);
    reply.code(status).headers(headers).serializer(JSON.stringify).send(body);
  };
}

/**
 * Reads and discards the rest of a refused body, within the time limit of requests, before the connection is closed. Otherwise a client that is
 * still sending would get a broken pipe instead of the answer (RFC 9112, section 9.6).
 */
function readToEnd({ raw: request }: FastifyRequest, reply: FastifyReply): void {
  const { raw: response } = reply;
  reply.removeHeader('connection');
  request.resume();
  if (!hasBody(request) || request.complete || response.shouldKeepAlive) return;
  // The client does not keep the connection: Node would close it behind the answer.
  response.shouldKeepAlive = true;
  const close = (): void => void request.socket.end();
  request.once('end', () => {
    if (response.writableFinished) close();
    else response.once('finish', close);
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** Returns the headers that tell a client whether and when to try again. `undefined`: a retry cannot help. */
function retryHeaders(retryAfterMs: number | undefined): Record<string, string> {
  if (retryAfterMs === undefined) return { 'x-should-retry': 'false' };
  const ms = Math.min(Math.max(Math.ceil(retryAfterMs), 1), MAX_RETRY_AFTER_MS);
  return { 'x-should-retry': 'true', 'retry-after-ms': String(ms), 'retry-after': String(Math.ceil(ms / 1000)) };
}

/** An error in the form of its answer. */
export interface ErrorReply {
  status: number;
  headers: Record<string, string>;
  body: Record<string, unknown>;
}

/** Returns the status, headers and body of a refusal: JSON for a registered code, a problem for any other (contract §1). */
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
    ? new Problem(500, 'The server failed. Its log has the error, with this x-request-id.')
    : new Problem(status, detail);
}

/** Messages for refusals of the framework, by status. Any other error is a fault of the server. */
const DETAILS: Readonly<Record<number, string>> = {
  400: 'The request is malformed.',
  404: 'The resource does not exist.',
  408: 'The request did not arrive in time.',
  413: 'The body is larger than the server accepts.',
  415: 'This request does not accept the media type of the body.',
  431: 'The headers are larger than the server accepts.',
};

/** Returns the status of an error. A malformed URL or an overlong id gets 404, like every unknown address. */
function statusOf(error: unknown): number {
  if (!isFrameworkError(error)) return 500;
  if (error.code === 'FST_ERR_BAD_URL' || error.code === 'FST_ERR_MAX_PARAM_LENGTH') return 404;
  return error.statusCode ?? 500;
}

function isFrameworkError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_');
}
