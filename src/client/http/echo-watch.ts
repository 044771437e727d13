/** Notices that the connections of a command on a terminal are dead although nothing closed them: what is typed shows something soon. */
import { UnreachableError } from './errors.ts';

/** Time after typed input in which output is expected, ms. */
const ECHO_TIMEOUT_MS = 5000;

/**
 * Ends all streams of one command if nothing arrives for 5 s after input was sent, so that they are opened again at their positions. Input that is not
 * echoed, such as a password, has the same effect: it costs a request, and loses nothing.
 */
export class EchoWatch {
  readonly #origin: string;
  #present = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDue = false;
  /** The number of times at which nothing arrived in time. */
  silences = 0;

  /** `origin` of the server, for the error with which streams end. */
  constructor(origin: string) {
    this.#origin = origin;
  }

  /** Input is sent. */
  typed(): void {
    this.#isDue = true;
    this.#arm();
  }

  /** Output has arrived, or the server has answered a request for it. */
  heard(): void {
    this.#isDue = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Returns the signal for an attempt to read a stream. It aborts with `signal`, or when nothing arrives in time. */
  attempt(signal: AbortSignal | undefined): AbortSignal {
    if (this.#isDue) this.#arm();
    return signal === undefined ? this.#present.signal : AbortSignal.any([signal, this.#present.signal]);
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => this.#giveUp(), ECHO_TIMEOUT_MS);
  }

  #giveUp(): void {
    this.#timer = undefined;
    this.silences += 1;
    const cause = new Error('nothing arrived after input was sent');
    this.#present.abort(new UnreachableError(this.#origin, { cause }));
    this.#present = new AbortController();
  }
}
