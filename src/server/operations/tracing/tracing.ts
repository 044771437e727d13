/** Traces by OpenTelemetry's own library; loaded only where they have somewhere to go, for it takes 27 MB and most of a second. */
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
/** What waits beyond this is dropped. */
const MOST_SPANS = 8192;
/** For a batch with all that is tried again of it; also what a stopping server gives its collector. */
const EXPORT_MS = 3000;

export interface Tracing {
  requests: RequestTracing;
  executions: ExecutionObserver;
  /** Sends what is left, as far as the collector takes it in time. */
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
    maxQueueSize: MOST_SPANS,
    scheduledDelayMillis: INTERVAL_MS,
    exportTimeoutMillis: EXPORT_MS,
  });
  const provider = new TracerProvider({
    // Who has decided for their own trace has decided for our part of it.
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': deps.version }),
    spanProcessors: [batches],
  });
  const tracer = provider.getTracer('execplane', deps.version);
  deps.log.info({ [LOG_KEY.collector]: url.origin }, 'traces go to their collector');
  const requests = traceRequests(tracer);
  return {
    requests,
    executions: traceExecutions(tracer, deps.now),
    async close() {
      requests.endAll();
      // What could not be sent has been told where it was tried.
      await provider.shutdown().catch(() => undefined);
    },
  };
}
