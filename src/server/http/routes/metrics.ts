/** Metrics in the text format of Prometheus, with any key. */
import { MACHINE_PHASES } from '../../../core/machines/machine.ts';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { EXECUTION_STATUSES, isTerminal } from '../../../core/execution.ts';
import type { App, HttpContext } from '../http-context.ts';
import { family } from '../../operations/metrics/exposition.ts';
import { createRequestMetrics } from '../../operations/metrics/requests.ts';
import { countTraffic } from '../../operations/metrics/traffic.ts';

const PHASES = MACHINE_PHASES.filter((phase) => phase !== 'destroyed');
const NANOSECONDS = 1e9;
const SAMPLE_MS = 20;

export function metricsRoutes(app: App, context: HttpContext): void {
  const requests = createRequestMetrics();
  const traffic = countTraffic(app.server, context.config.tlsCert !== undefined);
  const sources = [...context.metrics, traffic, requests.expose];
  const delay = monitorEventLoopDelay({ resolution: SAMPLE_MS });
  delay.enable();
  app.addHook('onResponse', requests.observe);
  app.addHook('onClose', async () => void delay.disable());
  app.get(
    '/metrics',
    {
      config: { access: 'any_key', produces: 'text/plain; version=0.0.4' },
      schema: { summary: 'Metrics for Prometheus', operationId: 'getMetrics', tags: ['Health'] },
    },
    async (_request, reply) => {
      const stored = await storeMetrics(context);
      // A sample is the time between two ticks: the tick itself is not a delay.
      const lag = delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / NANOSECONDS - SAMPLE_MS / 1000);
      delay.reset();
      const process = processMetrics(lag, context.openRequests.count());
      const text = [stored, process, ...sources.map((expose) => expose())].join('');
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text);
    },
  );
}

async function storeMetrics(context: HttpContext): Promise<string> {
  const { executions, machines, oldestWaitingAt } = await context.store.statistics();
  const waited = oldestWaitingAt === undefined ? 0 : Math.max(0, context.now() - oldestWaitingAt) / 1000;
  const open = EXECUTION_STATUSES.filter((status) => !isTerminal(status));
  return [
    family(
      'execplane_executions',
      'gauge',
      'Executions that have not ended, by status.',
      open.map((status) => [`{status="${status}"}`, executions[status] ?? 0]),
    ),
    family(
      'execplane_machines',
      'gauge',
      'Machines, by phase.',
      PHASES.map((phase) => [`{phase="${phase}"}`, machines[phase] ?? 0]),
    ),
    gauge('execplane_oldest_waiting_seconds', 'Age of the oldest waiting execution.', waited),
  ].join('');
}

function processMetrics(lagSeconds: number, openRequests: number): string {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    gauge('process_resident_memory_bytes', 'Resident memory.', rss),
    gauge('nodejs_heap_used_bytes', 'Used heap.', heapUsed),
    family('process_cpu_seconds_total', 'counter', 'Processor time.', [['', (user + system) / 1e6]]),
    gauge('nodejs_eventloop_lag_p99_seconds', 'Delay of the event loop since the last scrape.', lagSeconds),
    gauge('execplane_open_requests', 'Open streams and waits.', openRequests),
  ].join('');
}

function gauge(name: string, help: string, value: number): string {
  return family(name, 'gauge', help, [['', value]]);
}
