/** Counts and durations of requests, by route. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Histogram, type Registry } from 'prom-client';

/** Upper bounds of buckets, in seconds. Fewer than for executions, because each route has a histogram. */
const BOUNDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];

export interface RequestMetrics {
  /** Fastify's onResponse hook. */
  observe(request: FastifyRequest, reply: FastifyReply, done: () => void): void;
}

/** Adds a histogram to `registry`, with a series for each method, route pattern and status: clients cannot create series. */
export function createRequestMetrics(registry: Registry): RequestMetrics {
  const duration = new Histogram({
    name: 'execplane_http_request_duration_seconds',
    help: 'Time from request to answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: BOUNDS,
    registers: [registry],
  });
  return {
    observe(request, reply, done) {
      // Requests without a route share one series: clients choose their methods and paths.
      const route = request.is404 ? undefined : request.routeOptions.url;
      const method = route === undefined ? 'any' : request.method;
      duration.observe({ method, route: route ?? 'none', status: reply.statusCode }, reply.elapsedTime / 1000);
      done();
    },
  };
}
