/** Metrics of executions: time to dispatch, time to first output, and how they ended. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { ExecutionObserver } from '../../control/execution-observer.ts';
import { SECONDS } from './buckets.ts';

export type ExecutionMetrics = Pick<ExecutionObserver, 'dispatched' | 'committed'>;

/** Adds the metrics of executions to `registry`. `now`: ms since the epoch. */
export function createExecutionMetrics(registry: Registry, now: () => number): ExecutionMetrics {
  const { ended, dispatch, firstByte } = executionFamilies(registry);
  ended.inc({ status: 'succeeded', error_code: '' }, 0);
  /** Execution id → time at which its start was sent. Entries are removed at the first output or the end, so their number is bounded by slots. */
  const silent = new Map<string, number>();
  return {
    dispatched(execution) {
      // For a start that did not arrive and is sent again, the time counts from the first one.
      if (silent.has(execution.executionId)) return;
      const at = now();
      dispatch.observe(seconds(at - execution.createdAt));
      silent.set(execution.executionId, at);
    },
    committed(execution) {
      const sentAt = silent.get(execution.executionId);
      const spoke = hasPrinted(execution);
      if (sentAt !== undefined && spoke) firstByte.observe(seconds(now() - sentAt));
      const over = isTerminal(execution.status);
      if (spoke || over) silent.delete(execution.executionId);
      if (over) ended.inc({ status: execution.status, error_code: execution.errorCode ?? '' });
    },
  };
}

function executionFamilies(registry: Registry) {
  const registers = [registry];
  return {
    ended: new Counter({
      name: 'execplane_executions_ended_total',
      help: 'Executions that ended, by status and error code.',
      labelNames: ['status', 'error_code'],
      registers,
    }),
    dispatch: new Histogram({
      name: 'execplane_dispatch_seconds',
      help: 'Time from the create of an execution until its start is sent.',
      buckets: SECONDS,
      registers,
    }),
    firstByte: new Histogram({
      name: 'execplane_first_byte_seconds',
      help: 'Time from sending a start until the first output is on disk.',
      buckets: SECONDS,
      registers,
    }),
  };
}

function hasPrinted({ stdout, stderr }: Execution): boolean {
  return stdout.bytes + stderr.bytes > 0;
}

/** Clocks may be set back. */
function seconds(ms: number): number {
  return Math.max(0, ms) / 1000;
}
