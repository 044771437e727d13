/** Notifies requests that wait for an execution of each commit that changes it. O(1) for a commit. */
import { isTerminal } from '../../../core/execution.ts';
import type { Execution, Store } from '../../../store/store.ts';
import type { CommitListener } from './commit-notifier.ts';

/** Called after a committed change of an execution. `execution`: its state after the change. */
export type Listener = (execution: Execution) => void;

export interface WaitRequest {
  /** As the caller read it. */
  execution: Execution;
  waitMs: number;
  signal: AbortSignal;
}

/** The number of executions whose last known commit is kept in memory. */
const MAX_REMEMBERED = 1024;

/** Waits and subscriptions for the commits of executions. */
export class Live implements CommitListener {
  readonly #store: Pick<Store, 'getExecution'>;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** The progress of each execution at the last notification of its listeners. */
  readonly #notified = new Map<string, number>();
  readonly #waits = new Set<() => void>();
  /** The last known state of the executions that changed last. */
  readonly #lately = new Map<string, Execution>();
  readonly #hearsAll: (machineId: string) => boolean;
  #closed = false;

  /** `hearsAll`: whether `committed` is called for every commit, because no other server commits to executions of this machine now. */
  constructor(
    store: Pick<Store, 'getExecution'>,
    { hearsAll = () => false }: { hearsAll?: (machineId: string) => boolean } = {},
  ) {
    this.#store = store;
    this.#hearsAll = hearsAll;
  }

  /** Notifies every listener of the execution. */
  committed(execution: Execution): void {
    if (this.#hearsAll(execution.machineId)) this.remember(execution);
    const listeners = this.#listeners.get(execution.executionId);
    if (listeners === undefined) return;
    this.#notified.set(execution.executionId, progressOf(execution));
    for (const listener of [...listeners]) listener(execution);
  }

  /** Calls `listener` after each commit on the execution. Returns the unsubscription (harmless when repeated). */
  subscribe(executionId: string, listener: Listener): () => void {
    const own: Listener = (execution) => listener(execution);
    const listeners = this.#listeners.get(executionId) ?? new Set();
    this.#listeners.set(executionId, listeners.add(own));
    return () => {
      listeners.delete(own);
      if (listeners.size > 0 || this.#listeners.get(executionId) !== listeners) return;
      this.#listeners.delete(executionId);
      this.#notified.delete(executionId);
    };
  }

  /** Whether the execution has a listener that was not notified of this progress. */
  isBehind(executionId: string, progress: number): boolean {
    return this.#listeners.has(executionId) && (this.#notified.get(executionId) ?? 0) < progress;
  }

  /** Ids of the executions with a listener. */
  waitedFor(): string[] {
    return [...this.#listeners.keys()];
  }

  /** Number of executions with a listener. */
  get subscribed(): number {
    return this.#listeners.size;
  }

  /** Returns the present state of an execution. Reads the store, because another server may have committed since `known` was read. */
  async refresh(known: Execution): Promise<Execution> {
    if (isTerminal(known.status)) return known;
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

  /** Answers all waiting requests with the present state. Later waits answer at once. */
  close(): void {
    this.#closed = true;
    for (const finish of [...this.#waits]) finish();
  }

  /**
   * Keeps a state that was just committed, so that a wait that begins with it need not read it again. If another server has committed
   * since, its hint or the next poll is answered.
   */
  remember(execution: Execution): void {
    const { executionId } = execution;
    const known = this.#lately.get(executionId);
    this.#lately.delete(executionId);
    const isOlder = known !== undefined && progressOf(known) > progressOf(execution);
    this.#lately.set(executionId, isOlder ? known : execution);
    const [oldest] = this.#lately.keys();
    if (this.#lately.size > MAX_REMEMBERED && oldest !== undefined) this.#lately.delete(oldest);
  }

  /** Subscribes first and reads afterwards, so that no commit is missed. Skips the read of a state that was just committed. */
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
      const known = this.#lately.get(execution.executionId);
      if (known !== undefined && progressOf(known) >= progressOf(execution)) {
        consider(known);
        return;
      }
      this.refresh(execution).then(consider, (cause: unknown) => {
        dispose();
        reject(cause);
      });
    });
  }
}

/** Returns a number that each commit of a report or an event raises. Output in stream mode, such as that of terminals, makes no events. */
export function progressOf({ lastSequence, reported }: Pick<Execution, 'lastSequence' | 'reported'>): number {
  return lastSequence + reported;
}

function later(a: Execution, b: Execution): Execution {
  return b.lastSequence >= a.lastSequence ? b : a;
}
