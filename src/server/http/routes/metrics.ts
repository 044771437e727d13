/** Serves metrics in the text format of Prometheus. Any valid key is accepted. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';
import { EXECUTION_STATUSES, isTerminal } from '../../../core/execution.ts';
import { MACHINE_PHASES } from '../../../core/machines/machine.ts';
import { createRequestMetrics } from '../../operations/metrics/requests.ts';
import { registerTrafficMetrics } from '../../operations/metrics/traffic.ts';
import type { App, HttpContext } from '../http-context.ts';

const PHASES = MACHINE_PHASES.filter((phase) => phase !== 'destroyed');
const OPEN_STATUSES = EXECUTION_STATUSES.filter((status) => !isTerminal(status));
const NANOSECONDS = 1e9;
const SAMPLE_MS = 20;

/** Registers `/metrics`, and the metrics of requests, sockets, the process and the store. */
export function metricsRoutes(app: App, context: HttpContext): void {
  const { metrics } = context;
  app.addHook('onResponse', createRequestMetrics(metrics).observe);
  registerTrafficMetrics(metrics, app.server, context.config.tlsCert !== undefined);
  registerProcessMetrics(metrics, context);
  registerEventLoopLag(metrics, app);
  const store = storeGauges(metrics);
  app.get(
    '/metrics',
    {
      config: { access: 'any_key', produces: 'text/plain; version=0.0.4' },
      schema: { summary: 'Metrics for Prometheus', operationId: 'getMetrics', tags: ['Health'] },
    },
    async (_request, reply) => {
      await readStore(context, store);
      return reply.type(metrics.contentType).send(await metrics.metrics());
    },
  );
}

function storeGauges(registry: Registry) {
  const registers = [registry];
  return {
    executions: new Gauge({
      name: 'execplane_executions',
      help: 'Executions that have not ended, by status.',
      labelNames: ['status'],
      registers,
    }),
    machines: new Gauge({ name: 'execplane_machines', help: 'Machines, by phase.', labelNames: ['phase'], registers }),
    oldest: new Gauge({
      name: 'execplane_oldest_waiting_seconds',
      help: 'Age of the oldest waiting execution.',
      registers,
    }),
  };
}

async function readStore(context: HttpContext, gauges: ReturnType<typeof storeGauges>): Promise<void> {
  const { executions, machines, oldestWaitingAt } = await context.store.statistics();
  for (const status of OPEN_STATUSES) gauges.executions.set({ status }, executions[status] ?? 0);
  for (const phase of PHASES) gauges.machines.set({ phase }, machines[phase] ?? 0);
  gauges.oldest.set(oldestWaitingAt === undefined ? 0 : Math.max(0, context.now() - oldestWaitingAt) / 1000);
}

function registerProcessMetrics(registry: Registry, { openRequests }: HttpContext): void {
  gauge(registry, 'process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  gauge(registry, 'nodejs_heap_used_bytes', 'Used heap.', () => process.memoryUsage().heapUsed);
  gauge(registry, 'execplane_open_requests', 'Open streams and waits.', () => openRequests.count());
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time.',
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}

function registerEventLoopLag(registry: Registry, app: App): void {
  const delay = monitorEventLoopDelay({ resolution: SAMPLE_MS });
  delay.enable();
  app.addHook('onClose', async () => void delay.disable());
  gauge(registry, 'nodejs_eventloop_lag_p99_seconds', 'Delay of the event loop since the last scrape.', () => {
    // A sample is the time between two ticks: the tick itself is not a delay.
    const lag = delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / NANOSECONDS - SAMPLE_MS / 1000);
    delay.reset();
    return lag;
  });
}

/** Adds a gauge without labels that is read at each scrape. */
function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
