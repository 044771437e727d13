/** How far ahead of a client a terminal may print. */

/** Bounds of the window, and its first size. */
const MIN_WINDOW_BYTES = 64 * 1024;
const FIRST_WINDOW_BYTES = 256 * 1024;
export const MAX_WINDOW_BYTES = 1024 * 1024;
/** Bytes that take this much longer to the client than the fastest halve the window: with Ctrl-C, they are still shown. */
const SLOW_MS = 100;
/** Bytes that take no more than this much longer double it. */
const QUICK_MS = 40;

/**
 * The window of bytes between the terminal and one client: sent, or still to be printed. It follows the client: the time that a byte takes
 * to the client, not the number of bytes on the way, is to be small.
 */
export class ReadAhead {
  /** The client has taken all bytes before this offset. */
  taken: number;
  #windowBytes = FIRST_WINDOW_BYTES;
  #fastestMs = Number.POSITIVE_INFINITY;
  /** Bytes whose time to the client is being measured. */
  #measured: { end: number; sentAt: number } | undefined;

  constructor(offset: number) {
    this.taken = offset;
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** The offset up to which the terminal may print. */
  get limit(): number {
    return this.taken + this.#windowBytes;
  }

  /** The bytes before `end` were sent. Times in ms. */
  sent(end: number, now: number): void {
    this.#measured ??= { end, sentAt: now };
  }

  /** The client has taken the bytes before `end`, which were sent. Returns false if that was known. */
  took(end: number, now: number): boolean {
    if (end <= this.taken) return false;
    this.taken = end;
    if (this.#measured === undefined || end < this.#measured.end) return true;
    const ms = now - this.#measured.sentAt;
    this.#measured = undefined;
    this.#fastestMs = Math.min(this.#fastestMs, ms);
    const later = ms - this.#fastestMs;
    if (later > SLOW_MS) this.#windowBytes = Math.max(MIN_WINDOW_BYTES, this.#windowBytes / 2);
    else if (later <= QUICK_MS) this.#windowBytes = Math.min(MAX_WINDOW_BYTES, this.#windowBytes * 2);
    return true;
  }
}
