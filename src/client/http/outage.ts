import { backoffMs, pause } from './backoff.ts';

/** Called when the server cannot be reached any more, and when it is back. */
export interface OutageListener {
  away(reason: Error): void;
  back(): void;
}

/** Time without a connection after which following ends with an error, ms. */
const OUTAGE_MS = 300_000;
const RECONNECT = { firstMs: 100, maxMs: 5000 };
/** Number of consecutive failures from which an outage is reported. Fewer pass quickly. */
const REPORTED_FAILURES = 3;

/** An outage of the server, from the first failure to the next stream that opens. */
export class Outage {
  readonly #listener: OutageListener | undefined;
  #since: number | undefined;
  /** Number of streams that broke since data last arrived. */
  #failures = 0;
  #reported = false;

  constructor(listener: OutageListener | undefined) {
    this.#listener = listener;
  }

  /** Ends the outage when a stream has opened. A later break begins a new outage. */
  over(): void {
    this.#since = undefined;
    if (this.#reported) this.#listener?.back();
    this.#reported = false;
  }

  /** Records that data has arrived. */
  dataReceived(): void {
    this.#failures = 0;
  }

  /** Counts a failure. Returns whether the outage is too long. */
  isTooLong(error: unknown): boolean {
    const now = performance.now();
    this.#since ??= now;
    if (this.#failures + 1 >= REPORTED_FAILURES && !this.#reported && error instanceof Error) {
      this.#reported = true;
      this.#listener?.away(error);
    }
    return now - this.#since > OUTAGE_MS;
  }

  /** Waits before the next attempt. */
  async pause(signal: AbortSignal | undefined): Promise<void> {
    await pause(backoffMs(this.#failures, RECONNECT), signal);
    this.#failures += 1;
  }
}
