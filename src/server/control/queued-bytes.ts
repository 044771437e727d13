/** Limits the bytes of the waiting requests of one API key on all machines together. */
import type { Store } from '../../store/store.ts';

/** Time for which a refused key is refused again without reading the store, ms. */
const REFUSED_MS = 1000;
/** Maximum number of keys in memory. Servers have far fewer. */
const MAX_KEYS = 10_000;

/** The sum for one API key. */
interface Known {
  /** Waiting bytes when the store was last read, plus those of all requests admitted since. */
  bytes: number;
  /** Requests are refused until this time, ms. */
  refusedUntil: number;
}

/**
 * Adds up the bytes that each key leaves waiting. Requests that leave the queue are not subtracted: the store is read again only when the sum
 * reaches the limit. Each server counts its own requests, so that a key may reach the limit on each server.
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

  /** Counts a request of `bytes` bytes, and returns whether it may wait. A request larger than the limit may wait alone. */
  async admits(createdBy: string, bytes: number): Promise<boolean> {
    const known = this.#known.get(createdBy) ?? (await this.#ask(createdBy));
    if (known.refusedUntil > this.#now()) return false;
    if (known.bytes > 0 && known.bytes + bytes > this.#limit) {
      const before = known.bytes;
      const waiting = await this.#store.queuedBytes({ createdBy });
      // Requests admitted meanwhile may be missing in the sum that was read.
      known.bytes = waiting + Math.max(0, known.bytes - before);
      if (known.bytes > 0 && known.bytes + bytes > this.#limit) {
        known.refusedUntil = this.#now() + REFUSED_MS;
        return false;
      }
    }
    known.bytes += bytes;
    return true;
  }

  /** Reads the waiting bytes of a key for the first time since the start of the server. */
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
