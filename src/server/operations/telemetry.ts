/** Starts metrics and, if a collector is set, traces. */
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import type { RunningControlPlane } from '../control/control-plane.ts';
import { type ExecutionObserver, observeAll } from '../control/execution-observer.ts';
import { type CommitMetrics, createCommitMetrics } from './metrics/commits.ts';
import { createExecutionMetrics } from './metrics/executions.ts';
import { registerLinkMetrics } from './metrics/links.ts';
import type { TracingConfig } from './tracing/config.ts';
import type { RequestTracing } from './tracing/requests.ts';

export interface Telemetry {
  observer: ExecutionObserver;
  onCommit: CommitMetrics['observe'];
  /** Returns the metrics of executions, commits and `control`. */
  metrics(control: Pick<RunningControlPlane, 'counts'>): Registry;
  /** Absent: no traces. */
  tracing?: RequestTracing;
  /** Sends the remaining traces. */
  close(): Promise<void>;
}

/** Starts them. `now`: ms since the epoch. The tracing code is loaded only with a collector. */
export async function startTelemetry(p: {
  tracing: TracingConfig | undefined;
  log: Pick<Logger, 'info' | 'warn'>;
  now: () => number;
  version: string;
}): Promise<Telemetry> {
  const registry = new Registry();
  const commits = createCommitMetrics(registry);
  const executions = createExecutionMetrics(registry, p.now);
  const metrics: Telemetry['metrics'] = (control) => {
    registerLinkMetrics(registry, control);
    return registry;
  };
  const common = { onCommit: commits.observe, metrics };
  if (p.tracing === undefined) return { ...common, observer: observeAll([executions]), close: async () => {} };
  const { startTracing } = await import('./tracing/tracing.ts');
  const tracing = startTracing(p.tracing, p);
  return {
    ...common,
    observer: observeAll([executions, tracing.executions]),
    tracing: tracing.requests,
    close: tracing.close,
  };
}
