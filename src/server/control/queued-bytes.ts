/** Limits the bytes of the waiting requests of one API key on all machines together, whichever server they came to. */
import type { Store } from '../../store/store.ts';

/** Time for which requests of a key that are not smaller than a refused one are refused without reading the store, ms. */
const REFUSED_MS = 1000;
/** Maximum number of keys in memory. Servers have far fewer. */
const MAX_KEYS = 10_000;
/** With several servers: time for which a read of the store counts, ms, and the part of the limit that a server may add until then. */
const SHARED_READ_MS = 1000;
const SHARE = 1 / 16;

/** The sum for one API key. */
interface Known {
  /** Waiting bytes on all servers when the store was last read. */
  stored: number;
  /** Bytes of the requests that were admitted here since. */
  added: number;
  /** Time of that read, ms. */
  readAt: number;
  /** Requests of at least this size are refused until this time, ms. */
  refusedBytes: number;
  refusedUntil: number;
}

export interface QueuedBytesOptions {
  /** Bytes of one key. */
  limit: number;
  /** ms since the epoch. */
  now: () => number;
  /** Number of servers that admit requests, at least one. */
  servers: () => number;
}

/**
 * Adds up the bytes that each key leaves waiting. Requests that leave the queue are not subtracted: the store is read again only when the sum
 * reaches the limit. Each of several servers admits its part of the limit without a read, and from then on a sixteenth after each read, so
 * that all together exceed the limit by at most a sixteenth for each other server.
 */
export class QueuedBytes {
  readonly #store: Pick<Store, 'queuedBytes'>;
  readonly #options: QueuedBytesOptions;
  readonly #known = new Map<string, Known>();

  constructor(store: Pick<Store, 'queuedBytes'>, options: QueuedBytesOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Counts a request of `bytes` bytes, and returns whether it may wait. A request larger than the limit may wait alone. */
  async admits(createdBy: string, bytes: number): Promise<boolean> {
    const { limit, now } = this.#options;
    const last = this.#known.get(createdBy);
    if (last !== undefined && bytes >= last.refusedBytes && last.refusedUntil > now()) return false;
    const known = last !== undefined && this.#covers(last, bytes) ? last : await this.#read(createdBy);
    const waiting = known.stored + known.added;
    if (waiting > 0 && waiting + bytes > limit) {
      Object.assign(known, { refusedBytes: bytes, refusedUntil: now() + REFUSED_MS });
      return false;
    }
    known.added += bytes;
    return true;
  }

  /** Whether the request may wait without another read of the store. */
  #covers({ stored, added, readAt }: Known, bytes: number): boolean {
    const { limit, now, servers } = this.#options;
    const sum = stored + added + bytes;
    if (sum <= limit / servers()) return true;
    if (servers() === 1) return stored + added === 0;
    return sum <= limit && added + bytes <= limit * SHARE && now() - readAt < SHARED_READ_MS;
  }

  /** Reads the waiting bytes of a key. */
  async #read(createdBy: string): Promise<Known> {
    const { now } = this.#options;
    const before = this.#known.get(createdBy)?.added ?? 0;
    const stored = await this.#store.queuedBytes({ createdBy });
    const present = this.#known.get(createdBy);
    if (present === undefined) {
      if (this.#known.size >= MAX_KEYS) this.#known.clear();
      const known = { stored, added: 0, readAt: now(), refusedBytes: 0, refusedUntil: 0 };
      this.#known.set(createdBy, known);
      return known;
    }
    // Requests admitted meanwhile may be missing in the sum that was read.
    return Object.assign(present, { stored, added: Math.max(0, present.added - before), readAt: now() });
  }
}
