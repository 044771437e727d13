/** Deadlines: what waits past its expires_at expires; what runs on a machine that is away for too long is lost. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Execution, Store } from '../../store/store.ts';

const BATCH = 500;
const RETRY_MS = 1000;
/** A sleep is at most this long, so that a clock that was set is noticed (and no timer passes 2^31). */
const LONGEST_SLEEP_MS = 60_000;
const SHORTEST_SWEEP_MS = 50;
const LONGEST_SWEEP_MS = 5000;
const LOST = 'The agent was away for longer than the server waits; whether and how the command ended is not known.';

export interface DeadlineDeps {
  store: Pick<Store, 'nextExpiry' | 'expireDue' | 'markAbandonedLost'>;
  log: Pick<Logger, 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  agentLostAfterMs: number;
  publish: (execution: Execution) => void;
}

export class Deadlines {
  readonly #deps: DeadlineDeps;
  readonly #sweepEveryMs: number;
  #startedAt = 0;
  /** When the next one expires, as far as is known. */
  #due = Number.POSITIVE_INFINITY;
  #expiryTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  #working = new Set<Promise<void>>();
  #stopped = false;

  constructor(deps: DeadlineDeps) {
    this.#deps = deps;
    this.#sweepEveryMs = Math.min(LONGEST_SWEEP_MS, Math.max(SHORTEST_SWEEP_MS, deps.agentLostAfterMs / 10));
  }

  start(): void {
    this.#startedAt = this.#deps.now();
    this.#wakeAt(this.#startedAt);
    this.#sweepLater();
  }

  /** Something waits that expires at `expiresAt` (ms since the epoch). */
  waitsUntil(expiresAt: number): void {
    if (expiresAt < this.#due) this.#wakeAt(expiresAt);
  }

  /** Settles when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#expiryTimer);
    clearTimeout(this.#sweepTimer);
    await Promise.allSettled(this.#working);
  }

  #wakeAt(due: number): void {
    this.#due = due;
    clearTimeout(this.#expiryTimer);
    if (this.#stopped || due === Number.POSITIVE_INFINITY) return;
    const sleepMs = Math.min(Math.max(0, due - this.#deps.now()), LONGEST_SLEEP_MS);
    this.#expiryTimer = setTimeout(() => {
      if (this.#deps.now() < this.#due) this.#wakeAt(this.#due);
      else this.#work(this.#expire());
    }, sleepMs);
    this.#expiryTimer.unref();
  }

  async #expire(): Promise<void> {
    // Whatever is created from here on with an earlier time wakes us by itself.
    this.#due = Number.POSITIVE_INFINITY;
    let retryAt = Number.POSITIVE_INFINITY;
    try {
      await inBatches((limit) => this.#deps.store.expireDue({ now: this.#deps.now(), limit }), this.#deps.publish);
      retryAt = (await this.#deps.store.nextExpiry()) ?? Number.POSITIVE_INFINITY;
    } catch (cause) {
      this.#deps.log.warn({ err: cause }, 'expiring failed; it is tried again');
      retryAt = this.#deps.now() + RETRY_MS;
    }
    if (retryAt < this.#due) this.#wakeAt(retryAt);
  }

  #sweepLater(): void {
    if (this.#stopped) return;
    this.#sweepTimer = setTimeout(
      () => this.#work(this.#sweep().finally(() => this.#sweepLater())),
      this.#sweepEveryMs,
    );
    this.#sweepTimer.unref();
  }

  /** One query by index, whatever the number of machines. Counts from the disconnect, or from our start if that is later. */
  async #sweep(): Promise<void> {
    const { store, now, agentLostAfterMs, publish } = this.#deps;
    const awaySince = now() - agentLostAfterMs;
    if (awaySince < this.#startedAt) return;
    const markLost = (limit: number) => store.markAbandonedLost({ awaySince, reason: LOST, now: now(), limit });
    try {
      await inBatches(markLost, publish);
    } catch (cause) {
      this.#deps.log.warn({ err: cause }, 'looking for lost agents failed; it is tried again');
    }
  }

  #work(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }
}

/** Ends what is due, a batch a turn, and tells of it. */
async function inBatches(
  end: (limit: number) => Promise<Execution[]>,
  publish: (execution: Execution) => void,
): Promise<void> {
  for (;;) {
    const ended = await end(BATCH);
    ended.forEach(publish);
    if (ended.length < BATCH) return;
    await nextTurn();
  }
}
