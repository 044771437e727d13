/** Creates the spans of an execution: one for the whole, below the request that created it, and below it its commit, dispatch and run. */
import { type Context, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { ExecutionObserver } from '../../control/execution-observer.ts';

/** Maximum number of followed executions. Above it the oldest are dropped and get no more spans. */
const MAX_FOLLOWED = 10_000;

interface Followed {
  span: Span;
  context: Context;
  /** ms since the epoch. */
  committedAt: number;
  dispatched: boolean;
}

/** Returns the observer. `now`: ms since the epoch. Only executions that this process created are followed. */
export function traceExecutions(tracer: Tracer, now: () => number): ExecutionObserver {
  const followed = new Map<string, Followed>();

  const part = ({ context }: Followed, name: string, execution: Execution, from: number, to: number): void => {
    const span = tracer.startSpan(name, { startTime: new Date(from), attributes: identity(execution) }, context);
    span.end(new Date(to));
  };

  return {
    created(execution, { trace: request }) {
      if (request === undefined) return;
      const options = { startTime: new Date(execution.createdAt), attributes: identity(execution) };
      const span = tracer.startSpan('execution', options, request);
      if (!span.isRecording()) return;
      const of = { span, context: trace.setSpan(request, span), committedAt: now(), dispatched: false };
      followed.set(execution.executionId, of);
      part(of, 'commit', execution, execution.createdAt, of.committedAt);
      if (followed.size > MAX_FOLLOWED) followed.delete(followed.keys().next().value ?? '');
    },
    dispatched(execution) {
      const of = followed.get(execution.executionId);
      if (of === undefined || of.dispatched) return;
      of.dispatched = true;
      part(of, 'dispatch', execution, of.committedAt, now());
    },
    committed(execution) {
      if (!isTerminal(execution.status)) return;
      const of = followed.get(execution.executionId);
      if (of === undefined) return;
      followed.delete(execution.executionId);
      const at = now();
      const { startedAt, completedAt = at, errorCode } = execution;
      if (startedAt !== undefined) part(of, 'run', execution, startedAt, completedAt);
      of.span.setAttributes(ending(execution));
      if (errorCode !== undefined) of.span.setStatus({ code: SpanStatusCode.ERROR, message: errorCode });
      of.span.end(new Date(at));
    },
  };
}

/** Returns the attributes that identify an execution. The argv is left out: it may be long, and is private to the caller. */
function identity({ executionId, machineId }: Execution) {
  return { 'execplane.execution_id': executionId, 'execplane.machine_id': machineId };
}

function ending({ status, exitCode, signal, errorCode }: Execution) {
  return {
    'execplane.status': status,
    ...(exitCode === undefined ? {} : { 'process.exit.code': exitCode }),
    ...(signal === undefined ? {} : { 'execplane.signal': signal }),
    ...(errorCode === undefined ? {} : { 'error.type': errorCode }),
  };
}
