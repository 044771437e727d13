/** Metrics of executions: time to dispatch, time to first output, and how they ended. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { ExecutionObserver } from '../../control/execution-observer.ts';
import { family, type MetricSource } from './exposition.ts';
import { Histogram, histogramFamily, SECONDS } from './histogram.ts';

export interface ExecutionMetrics extends Pick<ExecutionObserver, 'dispatched' | 'committed'> {
  expose: MetricSource;
}

/** `now`: ms since the epoch. */
export function createExecutionMetrics(now: () => number): ExecutionMetrics {
  const dispatch = new Histogram(SECONDS);
  const firstByte = new Histogram(SECONDS);
  /** Status and error code → count. */
  const ended = new Map([[endLabels('succeeded', undefined), 0]]);
  /** Execution id → time at which its start was sent; until it prints or ends, so no more entries than agents have slots. */
  const silent = new Map<string, number>();
  return {
    dispatched(execution) {
      // A start that did not arrive is sent again: the wait began with the first.
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
      if (!over) return;
      const labels = endLabels(execution.status, execution.errorCode);
      ended.set(labels, (ended.get(labels) ?? 0) + 1);
    },
    expose: () =>
      family('execplane_executions_ended_total', 'counter', 'Executions that ended, by how.', [...ended]) +
      histogramFamily('execplane_dispatch_seconds', 'From the create of an execution to its start going out.', [
        ['', dispatch],
      ]) +
      histogramFamily('execplane_first_byte_seconds', 'From a start going out to the first output on disk.', [
        ['', firstByte],
      ]),
  };
}

function hasPrinted({ stdout, stderr }: Execution): boolean {
  return stdout.bytes + stderr.bytes > 0;
}

function endLabels(status: string, errorCode: string | undefined): string {
  return `{status="${status}",error_code="${errorCode ?? ''}"}`;
}

/** Clocks may be set back. */
function seconds(ms: number): number {
  return Math.max(0, ms) / 1000;
}
