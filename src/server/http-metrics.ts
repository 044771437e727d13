/** Counts and times of requests, by route: what /metrics tells in the text format of Prometheus. */
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Upper bounds in seconds. */
const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60] as const;

interface Series {
  labels: string;
  count: number;
  seconds: number;
  buckets: number[];
}

export interface HttpMetrics {
  /** Fastify's onResponse hook. */
  observe(request: FastifyRequest, reply: FastifyReply, done: () => void): void;
  render(): string;
}

/** A series for each method, route pattern and status: as many as there are routes, whatever clients send. */
export function createHttpMetrics(): HttpMetrics {
  const byRoute = new Map<string, Map<number, Series>>();
  const seriesOf = (method: string, route: string, status: number): Series => {
    const name = `${method} ${route}`;
    const byStatus = byRoute.get(name) ?? new Map<number, Series>();
    byRoute.set(name, byStatus);
    const known = byStatus.get(status);
    if (known !== undefined) return known;
    const labels = `method="${method}",route="${route}",status="${status}"`;
    const series = { labels, count: 0, seconds: 0, buckets: BUCKETS.map(() => 0) };
    byStatus.set(status, series);
    return series;
  };
  return {
    observe(request, reply, done) {
      // What leads nowhere shares one series: methods and paths are the client's to invent.
      const route = request.is404 ? undefined : request.routeOptions.url;
      const series = seriesOf(route === undefined ? 'any' : request.method, route ?? 'none', reply.statusCode);
      const seconds = reply.elapsedTime / 1000;
      series.count += 1;
      series.seconds += seconds;
      const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
      if (bucket >= 0) series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
      done();
    },
    render() {
      const all = [...byRoute.values()].flatMap((byStatus) => [...byStatus.values()]);
      return `# HELP execplane_http_request_duration_seconds Time from request to answer.
# TYPE execplane_http_request_duration_seconds histogram
${all.map(renderSeries).join('')}`;
    },
  };
}

function renderSeries({ labels, count, seconds, buckets }: Series): string {
  const name = 'execplane_http_request_duration_seconds';
  let below = 0;
  const lines = buckets.map((inBucket, index) => {
    below += inBucket;
    return `${name}_bucket{${labels},le="${BUCKETS[index]}"} ${below}\n`;
  });
  lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}\n`);
  lines.push(`${name}_sum{${labels}} ${seconds}\n${name}_count{${labels}} ${count}\n`);
  return lines.join('');
}
