/** The callbacks of metrics and traces for executions, always after the commit. Observers must not throw. */
import type { Execution } from '../../store/store.ts';
import type { CreateRequest } from './control.ts';

export interface ExecutionObserver {
  /** A new execution is on disk. Called before any other callback for it. */
  created(execution: Execution, request: CreateRequest): void;
  /** Its start was given to the connection of its agent; again if the first one did not arrive. */
  dispatched(execution: Execution): void;
  /** A change of it was committed; with its state after that. */
  committed(execution: Execution): void;
}

/** Calls all of them, in this order. */
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
