/** What waits in the store for one machine is claimed as slots become free: oldest first, in bounded batches. */
import type { Dispatch } from '../../../store/store.ts';
import type { Departure, Lane } from './start-queue.ts';
import { AGENT_LIMITS } from './limits.ts';

/** Above this average size of inputs they are claimed one by one, so that few of them are in memory. */
const LARGE_INPUT_BYTES = 256 * 1024;
const RETRY_MS = 500;

export class Claims {
  readonly #lane: Lane;
  readonly #accepting: () => boolean;
  readonly #claim: (limit: number) => Promise<Dispatch[]>;
  readonly #departure: (dispatch: Dispatch) => Departure;
  readonly #failed: (cause: unknown) => void;
  #opened = false;
  #claiming = false;
  /** Whether something may wait in the store. */
  #backlog = true;
  /** Counts what was reported as waiting, so that a claim that ran before it does not call the backlog empty. */
  #noted = 0;
  #batch: number = AGENT_LIMITS.claimBatch;
  #retry: NodeJS.Timeout | undefined;

  constructor(p: {
    lane: Lane;
    /** Whether the agent takes new work. */
    accepting: () => boolean;
    claim: (limit: number) => Promise<Dispatch[]>;
    departure: (dispatch: Dispatch) => Departure;
    /** The store could not be asked; it is asked again. */
    failed: (cause: unknown) => void;
  }) {
    this.#lane = p.lane;
    this.#accepting = p.accepting;
    this.#claim = p.claim;
    this.#departure = p.departure;
    this.#failed = p.failed;
  }

  /** Whether a new execution may go straight out: nothing older waits, and there is room. */
  get clear(): boolean {
    return this.#opened && !this.#backlog && this.#accepting() && this.#lane.free > 0;
  }

  /** From now on claims are made. */
  open(): void {
    this.#opened = true;
    this.pump();
  }

  /** An execution was committed that waits. */
  noteWaiting(): void {
    this.#noted += 1;
    this.#backlog = true;
    this.pump();
  }

  /** Claims as much as there is room for; call it whenever there may be more room. */
  pump(): void {
    if (!this.#opened || this.#claiming || !this.#backlog || this.#retry !== undefined || !this.#accepting()) return;
    const limit = Math.min(this.#lane.free, this.#batch);
    if (limit > 0) void this.#claimOnce(limit);
  }

  close(): void {
    this.#opened = false;
    clearTimeout(this.#retry);
  }

  async #claimOnce(limit: number): Promise<void> {
    this.#claiming = true;
    const noted = this.#noted;
    const reservation = this.#lane.reserve(limit, 0);
    let dispatches: Dispatch[] = [];
    try {
      dispatches = await this.#claim(limit);
      if (dispatches.length < limit && noted === this.#noted) this.#backlog = false;
      this.#batch = batchAfter(dispatches);
    } catch (cause) {
      this.#retryLater();
      this.#failed(cause);
    } finally {
      this.#claiming = false;
      this.#lane.settle(reservation, dispatches.map(this.#departure));
    }
    this.pump();
  }

  #retryLater(): void {
    if (!this.#opened) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.pump();
    }, RETRY_MS);
  }
}

function batchAfter(dispatches: readonly Dispatch[]): number {
  const bytes = dispatches.reduce((sum, { sealedInput }) => sum + (sealedInput?.length ?? 0), 0);
  return bytes > dispatches.length * LARGE_INPUT_BYTES ? 1 : AGENT_LIMITS.claimBatch;
}
