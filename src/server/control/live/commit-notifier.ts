/** The port between code that commits and the listeners of commits, on this server or another. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';

/** Called for each commit of this server on an execution, with the state after it. Must not throw. */
export interface CommitListener {
  committed(execution: Execution): void;
}

/** Passes each commit on to its listeners. */
export class CommitNotifier implements CommitListener {
  readonly #listeners: CommitListener[] = [];

  /** Listeners are called in the order in which they were added. */
  add(listener: CommitListener): void {
    this.#listeners.push(listener);
  }

  committed(execution: Execution): void {
    for (const listener of this.#listeners) listener.committed(execution);
  }
}

/** Calls `due` when an execution that has a callback ends. */
export function callbackListener(due: () => void): CommitListener {
  return {
    committed: ({ status, callbackUrl }) => {
      if (callbackUrl !== undefined && isTerminal(status)) due();
    },
  };
}
