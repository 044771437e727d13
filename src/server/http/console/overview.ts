/** The overview of the console: present numbers of machines and executions, and a chart of the past. */
import { type ConsoleOverview, ConsoleOverviewSchema, OverviewQuery, type Span } from '../../../api/console.ts';
import type { MinuteCount } from '../../../store/store.ts';
import { startPercentile } from '../../operations/start-times.ts';
import { assertAllMachines } from '../authentication/auth.ts';
import type { App, HttpContext } from '../http-context.ts';

const MINUTE_MS = 60_000;
/** Minutes per point, and number of points. */
const CHARTS: Readonly<Record<Span, { step: number; points: number }>> = {
  hour: { step: 1, points: 60 },
  day: { step: 15, points: 96 },
  week: { step: 120, points: 84 },
};

/** Registers the route of the console's overview. */
export function consoleOverviewRoute(app: App, context: HttpContext): void {
  const { store } = context;
  app.get(
    '/console/overview',
    {
      config: { access: 'machines:read' },
      schema: { hide: true, querystring: OverviewQuery, response: { 200: ConsoleOverviewSchema } },
    },
    async (request): Promise<ConsoleOverview> => {
      // The counts include all machines.
      assertAllMachines(request.principal);
      const { step, points } = CHARTS[request.query.span];
      const now = Math.floor(context.now() / MINUTE_MS);
      const from = now - (now % step) - (points - 1) * step;
      const [statistics, counts, failingCallbacks] = await Promise.all([
        store.statistics(),
        store.listCounts({ from, step }),
        store.failingCallbacks(),
      ]);
      const { oldestWaitingAt } = statistics;
      return {
        machines: statistics.machines,
        executions: statistics.executions,
        ...(oldestWaitingAt === undefined ? {} : { oldest_waiting_at: new Date(oldestWaitingAt).toISOString() }),
        failing_callbacks: failingCallbacks,
        step_ms: step * MINUTE_MS,
        points: pointsOf(counts, { from, step, points }),
      };
    },
  );
}

/** Returns a point for each span, also for spans without counts. */
function pointsOf(counts: readonly MinuteCount[], chart: { from: number; step: number; points: number }) {
  const byMinute = new Map<number, Map<string, number>>();
  for (const { minute, name, count } of counts) {
    const point = byMinute.get(minute) ?? new Map<string, number>();
    byMinute.set(minute, point.set(name, count));
  }
  return Array.from({ length: chart.points }, (_, index) => {
    const minute = chart.from + index * chart.step;
    return pointOf(minute, byMinute.get(minute) ?? new Map());
  });
}

function pointOf(minute: number, counts: ReadonlyMap<string, number>): ConsoleOverview['points'][number] {
  const of = (name: string): number => counts.get(name) ?? 0;
  const half = startPercentile(counts, 0.5);
  const p95 = startPercentile(counts, 0.95);
  return {
    at: new Date(minute * MINUTE_MS).toISOString(),
    created: of('created'),
    succeeded: of('succeeded'),
    failed: of('failed') + of('expired'),
    cancelled: of('cancelled'),
    ...(half === undefined ? {} : { start_p50_ms: half }),
    ...(p95 === undefined ? {} : { start_p95_ms: p95 }),
  };
}
