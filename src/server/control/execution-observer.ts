/** What metrics and traces are told of executions, always after the commit. Observers must not throw. */
import type { Execution } from '../../store/store.ts';
import type { CreateRequest } from './control.ts';

export interface ExecutionObserver {
  /** A new one is on disk; comes before everything else of it. */
  created(execution: Execution, request: CreateRequest): void;
  /** Its start has been handed to the link of its agent; again where the first one did not arrive. */
  dispatched(execution: Execution): void;
  /** Something of it was committed: its state after that. */
  committed(execution: Execution): void;
}

/** Tells all of them, in this order. */
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
