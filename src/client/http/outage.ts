import { backoffMs, pause } from './backoff.ts';
import type { EchoWatch } from './echo-watch.ts';

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
  readonly #echo: EchoWatch | undefined;
  #since: number | undefined;
  /** Number of streams that broke since data last arrived. */
  #failures = 0;
  #reported = false;
  #silences = 0;

  /** `echo`: ends the stream of a command on a terminal if nothing arrives after input. */
  constructor(listener: OutageListener | undefined, echo?: EchoWatch) {
    this.#listener = listener;
    this.#echo = echo;
  }

  /** Returns the signal for the next attempt to open and read the stream. */
  attempt(signal: AbortSignal | undefined): AbortSignal | undefined {
    return this.#echo === undefined ? signal : this.#echo.attempt(signal);
  }

  /** Ends the outage when a stream has opened. A later break begins a new outage. */
  over(): void {
    this.#since = undefined;
    if (this.#reported) this.#listener?.back();
    this.#reported = false;
    const { silences = 0 } = this.#echo ?? {};
    // A server that answers after a silence was not away: the input had no echo.
    if (silences > this.#silences) this.#failures = 0;
    this.#silences = silences;
    this.#echo?.heard();
  }

  /** Records that data has arrived. */
  dataReceived(): void {
    this.#failures = 0;
    this.#echo?.heard();
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
