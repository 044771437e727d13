/** The callbacks of metrics and traces for executions, always after the commit. Observers must not throw. */
import type { Execution } from '../../store/store.ts';
import type { CreateRequest } from './control.ts';

export interface ExecutionObserver {
  /** Called when a new execution is on disk, before any other callback for it. */
  created(execution: Execution, request: CreateRequest): void;
  /** Called when the start of an execution was sent; again if the first one did not arrive. */
  dispatched(execution: Execution): void;
  /** Called with the state of an execution after a committed change. */
  committed(execution: Execution): void;
}

/** Returns an observer that calls all of `observers`, in order. */
export function observeAll(observers: readonly Partial<ExecutionObserver>[]): ExecutionObserver {
  return {
    created: (execution, request) => {
      for (const observer of observers) observer.created?.(execution, request);
    },
    dispatched: (execution) => {
      for (const observer of observers) observer.dispatched?.(execution);
    },
    committed: (execution) => {
      for (const observer of observers) observer.committed?.(execution);
    },
  };
}
