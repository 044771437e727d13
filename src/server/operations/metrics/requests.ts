/** Counts and durations of requests, by route. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { MetricSource } from './exposition.ts';
import { Histogram, histogramFamily } from './histogram.ts';

/** In seconds. Fewer than for executions, because each route has a histogram. */
const BOUNDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60] as const;

export interface RequestMetrics {
  /** Fastify's onResponse hook. */
  observe(request: FastifyRequest, reply: FastifyReply, done: () => void): void;
  expose: MetricSource;
}

/** A series for each method, route pattern and status: bounded by the number of routes, whatever clients send. */
export function createRequestMetrics(): RequestMetrics {
  const byRoute = new Map<string, Map<number, Histogram>>();
  const histogramOf = (method: string, route: string, status: number): Histogram => {
    const labels = `method="${method}",route="${route}"`;
    const byStatus = byRoute.get(labels) ?? new Map<number, Histogram>();
    byRoute.set(labels, byStatus);
    const histogram = byStatus.get(status) ?? new Histogram(BOUNDS);
    byStatus.set(status, histogram);
    return histogram;
  };
  return {
    observe(request, reply, done) {
      // Requests without a route share one series: clients choose their methods and paths.
      const route = request.is404 ? undefined : request.routeOptions.url;
      const method = route === undefined ? 'any' : request.method;
      histogramOf(method, route ?? 'none', reply.statusCode).observe(reply.elapsedTime / 1000);
      done();
    },
    expose: () =>
      histogramFamily(
        'execplane_http_request_duration_seconds',
        'Time from request to answer.',
        [...byRoute].flatMap(([labels, byStatus]) =>
          [...byStatus].map(([status, histogram]) => [`${labels},status="${status}"`, histogram] as const),
        ),
      ),
  };
}
