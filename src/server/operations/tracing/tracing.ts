/** Sends traces with OpenTelemetry's library. Loaded only if a collector is set, because it takes 27 MB and most of a second. */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, BatchSpanProcessor, ParentBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import type { ExecutionObserver } from '../../control/execution-observer.ts';
import { collectorLog } from './collector-log.ts';
import type { TracingConfig } from './config.ts';
import { traceExecutions } from './executions.ts';
import { type RequestTracing, traceRequests } from './requests.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

const INTERVAL_MS = 2000;
/** Maximum number of waiting spans. Further ones are dropped. */
const MAX_SPANS = 8192;
/** Time limit for a batch with all its retries, also while the server stops, ms. */
const EXPORT_MS = 3000;

export interface Tracing {
  requests: RequestTracing;
  executions: ExecutionObserver;
  /** Sends the remaining spans that the collector accepts in time. */
  close(): Promise<void>;
}

/** `now`: ms since the epoch. */
export function startTracing(
  config: TracingConfig,
  deps: { log: Pick<Logger, 'info' | 'warn'>; now: () => number; version: string },
): Tracing {
  const { url, headers, serviceName } = config;
  const exporter = new OTLPTraceExporter({ url: url.href, headers, timeoutMillis: EXPORT_MS });
  const batches = new BatchSpanProcessor({
    exporter: collectorLog(exporter, { log: deps.log, collector: url.origin }),
    maxQueueSize: MAX_SPANS,
    scheduledDelayMillis: INTERVAL_MS,
    exportTimeoutMillis: EXPORT_MS,
  });
  const provider = new TracerProvider({
    // The caller's sampling decision also applies to the spans of this server.
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': deps.version }),
    spanProcessors: [batches],
  });
  const tracer = provider.getTracer('execplane', deps.version);
  deps.log.info({ [LOG_KEY.collector]: url.origin }, 'sending traces to the collector');
  const requests = traceRequests(tracer);
  return {
    requests,
    executions: traceExecutions(tracer, deps.now),
    async close() {
      requests.endAll();
      // Failed exports have been logged.
      await provider.shutdown().catch(() => undefined);
    },
  };
}
