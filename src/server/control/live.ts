/** Live notification: whoever waits for an execution hears of each commit that touches it. No polling, O(1) a commit. */
import { isTerminal } from '../../core/execution.ts';
import type { Execution, Store } from '../../store/store.ts';
import type { Listener } from './control.ts';

/** Executions whose latest published state is remembered, so that a wait right behind a create needs no read. */
const REMEMBERED = 8192;

export interface WaitRequest {
  /** As the caller read it. */
  execution: Execution;
  waitMs: number;
  signal: AbortSignal;
}

export class Live {
  readonly #store: Pick<Store, 'getExecution'>;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** Execution id → its `lastSequence` when it was last published here; the oldest fall out. */
  readonly #published = new Map<string, number>();
  readonly #waits = new Set<() => void>();
  #closed = false;

  constructor(store: Pick<Store, 'getExecution'>) {
    this.#store = store;
  }

  /** Tells everybody who listens to the execution; call it after the commit, with the state after it. */
  publish(execution: Execution): void {
    this.#remember(execution);
    const listeners = this.#listeners.get(execution.executionId);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) listener(execution);
  }

  /** Calls `listener` after each commit on the execution; returns the unsubscription (harmless when repeated). */
  subscribe(executionId: string, listener: Listener): () => void {
    const own: Listener = (execution) => listener(execution);
    const listeners = this.#listeners.get(executionId) ?? new Set();
    this.#listeners.set(executionId, listeners.add(own));
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(executionId) === listeners) this.#listeners.delete(executionId);
    };
  }

  /** Executions somebody listens to. */
  get subscribed(): number {
    return this.#listeners.size;
  }

  /** The execution as committed now; reads the store only where something may have happened since `known` was read. */
  async refresh(known: Execution): Promise<Execution> {
    if (isTerminal(known.status) || this.#published.get(known.executionId) === known.lastSequence) return known;
    const { machineId, executionId } = known;
    return later(known, (await this.#store.getExecution({ machineId, executionId })) ?? known);
  }

  /** Settles when the execution is terminal, after `waitMs`, or when `signal` aborts: with its latest state. */
  waitForEnd(request: WaitRequest): Promise<Execution> {
    return this.#wait(request, (execution) => isTerminal(execution.status));
  }

  /** Settles when there are events past `afterSequence` or none will come, after `waitMs`, or when `signal` aborts. */
  waitForEvents(request: WaitRequest & { afterSequence: number }): Promise<Execution> {
    return this.#wait(
      request,
      (execution) => execution.lastSequence > request.afterSequence || isTerminal(execution.status),
    );
  }

  /** Answers all who wait with what is known now; later waits answer at once. */
  close(): void {
    this.#closed = true;
    for (const finish of [...this.#waits]) finish();
  }

  /** Subscribes first and looks afterwards, so that a commit in between is not missed. */
  #wait({ execution, waitMs, signal }: WaitRequest, done: (execution: Execution) => boolean): Promise<Execution> {
    if (done(execution) || waitMs <= 0 || signal.aborted || this.#closed) return Promise.resolve(execution);
    return new Promise((resolve, reject) => {
      let latest = execution;
      const consider = (next: Execution): void => {
        latest = later(latest, next);
        if (done(latest)) finish();
      };
      const finish = (): void => {
        dispose();
        resolve(latest);
      };
      const dispose = (): void => {
        unsubscribe();
        clearTimeout(timer);
        signal.removeEventListener('abort', finish);
        this.#waits.delete(finish);
      };
      const unsubscribe = this.subscribe(execution.executionId, consider);
      const timer = setTimeout(finish, waitMs);
      signal.addEventListener('abort', finish);
      this.#waits.add(finish);
      this.refresh(execution).then(consider, (cause: unknown) => {
        dispose();
        reject(cause);
      });
    });
  }

  #remember(execution: Execution): void {
    this.#published.delete(execution.executionId);
    this.#published.set(execution.executionId, execution.lastSequence);
    if (this.#published.size <= REMEMBERED) return;
    for (const oldest of this.#published.keys()) {
      this.#published.delete(oldest);
      return;
    }
  }
}

function later(a: Execution, b: Execution): Execution {
  return b.lastSequence >= a.lastSequence ? b : a;
}
