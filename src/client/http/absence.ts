import { backoffMs, pause } from './backoff.ts';

/** Called when the server cannot be reached any more, and when it is back. */
export interface OutageListener {
  away(reason: Error): void;
  back(): void;
}

/** Following is given up if the server cannot be reached for this long, ms. */
const OUTAGE_MS = 300_000;
const RECONNECT = { firstMs: 100, maxMs: 5000 };
/** Fewer failures in a row pass quickly and are not reported. */
const TOLD_FAILURES = 3;

/** The server's absence, from the first failure to the next stream that opens. */
export class Absence {
  readonly #outage: OutageListener | undefined;
  #since: number | undefined;
  /** Streams that broke since data last came. */
  #failures = 0;
  #told = false;

  constructor(outage: OutageListener | undefined) {
    this.#outage = outage;
  }

  /** A stream has opened. However long it is silent, its break begins a new absence. */
  over(): void {
    this.#since = undefined;
    if (this.#told) this.#outage?.back();
    this.#told = false;
  }

  /** Data has come. */
  heard(): void {
    this.#failures = 0;
  }

  /** Counts a failure. Returns whether it is one too many. */
  isTooLong(error: unknown): boolean {
    const now = performance.now();
    this.#since ??= now;
    if (this.#failures + 1 >= TOLD_FAILURES && !this.#told && error instanceof Error) {
      this.#told = true;
      this.#outage?.away(error);
    }
    return now - this.#since > OUTAGE_MS;
  }

  /** Waits before the next attempt. */
  async pause(signal: AbortSignal | undefined): Promise<void> {
    await pause(backoffMs(this.#failures, RECONNECT), signal);
    this.#failures += 1;
  }
}
