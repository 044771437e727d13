/** The number of bytes that a terminal may print ahead of a client. */

/** The limits of the window and its initial size. */
const MIN_WINDOW_BYTES = 64 * 1024;
const FIRST_WINDOW_BYTES = 256 * 1024;
export const MAX_WINDOW_BYTES = 1024 * 1024;
/** A delay that exceeds the fastest one by more than this halves the window, ms. Bytes in the window are still shown after Ctrl-C. */
const SLOW_MS = 100;
/** A delay that exceeds the fastest one by no more than this doubles the window, ms. */
const QUICK_MS = 40;

/**
 * The window of bytes that are sent to one client and not acknowledged, or not printed yet. Its size is adapted so that the delay to
 * the client is small.
 */
export class ReadAhead {
  /** The client has acknowledged all bytes before this offset. */
  taken: number;
  #windowBytes = FIRST_WINDOW_BYTES;
  #fastestMs = Number.POSITIVE_INFINITY;
  /** The bytes whose delay is being measured. */
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

  /** Records that the bytes before `end` were sent. Times in ms. */
  sent(end: number, now: number): void {
    this.#measured ??= { end, sentAt: now };
  }

  /** Records that the client has acknowledged the bytes before `end`. Returns false if they were acknowledged before. */
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
