/** Logs requests: duration and status, by the pattern of the route. No URL, no headers, no bodies. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { ServerConfig } from '../../config.ts';

/** Fastify's onRequest hook; register it before hooks that answer. Requests that `setting` does not select are logged at debug. */
export function requestLog(logger: Logger, setting: ServerConfig['logRequests']) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const level = isNamed(request, setting) ? 'info' : 'debug';
    // Not onResponse: a client that disconnects in the middle of its answer ends the request as well.
    if (logger.isLevelEnabled(level)) reply.raw.once('close', () => logger[level](entry(request, reply), 'request'));
    done();
  };
}

function isNamed({ method, is404 }: FastifyRequest, setting: ServerConfig['logRequests']): boolean {
  if (setting === 'writes') return !is404 && method !== 'GET' && method !== 'HEAD';
  return setting === 'all';
}

function entry(request: FastifyRequest, reply: FastifyReply) {
  return {
    request_id: request.id,
    method: request.method,
    ...(request.is404 ? {} : { route: request.routeOptions.url }),
    status: reply.statusCode,
    duration_ms: Math.round(reply.elapsedTime * 1000) / 1000,
    ...(reply.raw.writableEnded ? {} : { cut_off: true }),
  };
}
