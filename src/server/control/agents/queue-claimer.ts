/** Claims waiting executions of one machine in the store as slots become free: oldest first, in bounded batches. */
import type { Dispatch } from '../../../store/store.ts';
import { AGENT_LIMITS } from './connection/limits.ts';
import type { PendingStart, StartQueue } from './start-queue.ts';

/** Above this average size of inputs, executions are claimed one by one, so that few inputs are in memory. */
const LARGE_INPUT_BYTES = 256 * 1024;
const RETRY_MS = 500;

export interface QueueClaimerOptions {
  starts: StartQueue;
  /** Marks up to `limit` waiting executions for this session's agent. */
  claim: (limit: number) => Promise<Dispatch[]>;
  toStart: (dispatch: Dispatch) => PendingStart;
  /** Called when a claim failed in the store. The claim is repeated. */
  claimFailed: (cause: unknown) => void;
}

/** Claims waiting executions for one session, one claim at a time. */
export class QueueClaimer {
  readonly #options: QueueClaimerOptions;
  #open = false;
  #claiming = false;
  /** Whether an execution may wait in the store. */
  #backlog = true;
  /** Counts the reports of waiting executions, so that a claim that ran before one does not call the backlog empty. */
  #noted = 0;
  #batch: number = AGENT_LIMITS.claimBatch;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: QueueClaimerOptions) {
    this.#options = options;
  }

  /** Whether no older execution waits in the store. */
  get upToDate(): boolean {
    return this.#open && !this.#backlog;
  }

  /** Starts claiming. `hasWaiting`: executions waited in the store, other than those that were noted. */
  open({ hasWaiting }: { hasWaiting: boolean }): void {
    this.#open = true;
    this.#backlog = hasWaiting || this.#noted > 0;
    this.claimMore();
  }

  /** Notes that an execution waits in the store for this machine. */
  noteWaiting(): void {
    this.#noted += 1;
    this.#backlog = true;
    this.claimMore();
  }

  /** Claims as many executions as there are free slots. Call it whenever a slot may have become free. */
  claimMore(): void {
    if (!this.#open || this.#claiming || !this.#backlog || this.#retry !== undefined) return;
    const limit = Math.min(this.#options.starts.free, this.#batch);
    if (limit > 0) void this.#claimOnce(limit);
  }

  close(): void {
    this.#open = false;
    clearTimeout(this.#retry);
  }

  async #claimOnce(limit: number): Promise<void> {
    const { starts, claim, toStart, claimFailed } = this.#options;
    this.#claiming = true;
    const noted = this.#noted;
    const reservation = starts.reserve(limit, 0);
    let dispatches: Dispatch[] = [];
    try {
      dispatches = await claim(limit);
      if (dispatches.length < limit && noted === this.#noted) this.#backlog = false;
      this.#batch = batchAfter(dispatches);
    } catch (cause) {
      this.#retryLater();
      claimFailed(cause);
    } finally {
      this.#claiming = false;
      starts.commit(reservation, dispatches.map(toStart));
    }
    this.claimMore();
  }

  #retryLater(): void {
    if (!this.#open) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.claimMore();
    }, RETRY_MS);
  }
}

function batchAfter(dispatches: readonly Dispatch[]): number {
  const bytes = dispatches.reduce((sum, { sealedInput }) => sum + (sealedInput?.length ?? 0), 0);
  return bytes > dispatches.length * LARGE_INPUT_BYTES ? 1 : AGENT_LIMITS.claimBatch;
}
