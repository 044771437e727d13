/** Bounds the bytes of requests that one API key has waiting on all machines together. */
import type { Store } from '../../store/store.ts';

/** A key that was refused is refused without asking the store again for this long, ms. */
const REFUSED_MS = 1000;
/** Keys in memory. Those of a server are far fewer. */
const MAX_KEYS = 10_000;

/** The sum for one API key. */
interface Known {
  /** Bytes that waited when the store was last asked, plus those of all requests admitted since. */
  bytes: number;
  /** Requests are refused until this time, ms. */
  refusedUntil: number;
}

/**
 * Adds up what each key leaves waiting. Requests that leave the queue are not followed: only when the sum reaches the limit the store is
 * asked how much still waits. Other servers count for themselves, so that a key may have the limit once for each server.
 */
export class QueuedBytes {
  readonly #store: Pick<Store, 'queuedBytes'>;
  readonly #limit: number;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();

  constructor(store: Pick<Store, 'queuedBytes'>, limit: number, now: () => number) {
    this.#store = store;
    this.#limit = limit;
    this.#now = now;
  }

  /** Returns whether a request of this size may wait, and counts it. One that is larger than the limit may wait alone. */
  async admits(createdBy: string, bytes: number): Promise<boolean> {
    const known = this.#known.get(createdBy) ?? (await this.#ask(createdBy));
    if (known.refusedUntil > this.#now()) return false;
    if (known.bytes > 0 && known.bytes + bytes > this.#limit) {
      const before = known.bytes;
      const waiting = await this.#store.queuedBytes({ createdBy });
      // What was added meanwhile may be missing in the sum.
      known.bytes = waiting + Math.max(0, known.bytes - before);
      if (known.bytes > 0 && known.bytes + bytes > this.#limit) {
        known.refusedUntil = this.#now() + REFUSED_MS;
        return false;
      }
    }
    known.bytes += bytes;
    return true;
  }

  /** A server that has just started knows nothing of what waits. */
  async #ask(createdBy: string): Promise<Known> {
    const bytes = await this.#store.queuedBytes({ createdBy });
    const present = this.#known.get(createdBy);
    if (present !== undefined) return present;
    if (this.#known.size >= MAX_KEYS) this.#known.clear();
    const known = { bytes, refusedUntil: 0 };
    this.#known.set(createdBy, known);
    return known;
  }
}
