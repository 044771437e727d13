/** Releases output that was read: the server deletes it, and the command may write more. */
import { STREAM_BUFFER_HEADER } from '../../core/stream-buffer-header.ts';
import { pause } from './backoff.ts';
import type { EchoWatch } from './echo-watch.ts';
import type { HttpResponse, Transport } from './transport.ts';

/** Bytes to read before they are released, unless the server keeps few unread bytes. */
const RELEASE_BYTES = 4_194_304;
/** The part of the server's buffer that is read before it is released. */
const BUFFER_PART = 4;
/** Fewer bytes are never waited for: the smallest buffer of a server holds twice as many. */
const MIN_BYTES = 32_768;
/** Time without output after which less is released: the buffer of the server may be smaller than it is known to be. ms. */
const LULL_MS = 250;
/** Time without output after which a release is repeated, ms. It doubles with each repetition. */
const REPEAT = { firstMs: 5000, maxMs: 300_000 };
/** Delay after a release that failed in spite of its attempts, ms. */
const RELEASE_AGAIN_MS = 1000;
/** Time limit for the answer to a release, ms. */
const ANSWER_MS = 20_000;

export interface OutputSource {
  /** Path of the execution in the API. */
  path: string;
  stream: 'stdout' | 'stderr';
  /** True in output mode `stream`: output that was read is released, so that the command can continue. */
  releases: boolean;
  /** Only for a command on a terminal. */
  echo?: EchoWatch | undefined;
}

/**
 * Releases the bytes of one stream that its reader has received, from time to time, with one request at a time. The command may wait for each
 * release, and its effect may be lost on the way to the command, or with a server that is killed. So a release that fails is repeated, and while
 * no output comes the last one is repeated too. A repeated release changes nothing.
 */
export class Release {
  readonly #transport: Transport;
  readonly #source: OutputSource;
  readonly #signal: AbortSignal;
  #threshold = RELEASE_BYTES;
  #received = 0;
  /** The offset up to which bytes were released, as far as that is known to be in effect. */
  #released = 0;
  /** Raised when the effect of earlier releases may be lost. */
  #epoch = 0;
  #busy = false;
  #closed = false;
  /** The time of the last bytes, ms as by performance.now(). */
  #receivedAt = 0;
  /** Whether no bytes have come for a moment. */
  #isLull = false;
  #repeatMs = REPEAT.firstMs;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(transport: Transport, source: OutputSource, signal: AbortSignal) {
    this.#transport = transport;
    this.#source = source;
    this.#signal = signal;
  }

  /** The stream was opened, perhaps on a server that does not know what was released on another one. */
  opened(headers: HttpResponse['headers']): void {
    const part = Math.floor(Number(headers.get(STREAM_BUFFER_HEADER) ?? 0) / BUFFER_PART);
    if (part > 0) this.#threshold = Math.min(RELEASE_BYTES, part);
    this.#forget();
    this.upTo(this.#received);
  }

  /** The reader has received all bytes before `offset`, and wants more. */
  upTo(offset: number): void {
    if (!this.#source.releases || this.#closed) return;
    this.#received = offset;
    this.#receivedAt = performance.now();
    if (this.#isLull) this.#clearTimer();
    this.#isLull = false;
    this.#repeatMs = REPEAT.firstMs;
    this.#timer ??= setTimeout(this.#checkSilence, LULL_MS);
    this.#releaseIfDue();
  }

  /** The reader has ended. */
  close(): void {
    this.#closed = true;
    this.#clearTimer();
  }

  get #isDue(): boolean {
    if (this.#closed || this.#signal.aborted) return false;
    return this.#received - this.#released >= (this.#isLull ? MIN_BYTES : this.#threshold);
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #forget(): void {
    this.#released = 0;
    this.#epoch += 1;
  }

  #releaseIfDue(): void {
    if (!this.#busy && this.#isDue) void this.#releaseReceived();
  }

  async #releaseReceived(): Promise<void> {
    this.#busy = true;
    while (this.#isDue) {
      const [offset, epoch] = [this.#received, this.#epoch];
      try {
        await this.#release(offset);
        if (epoch === this.#epoch) this.#released = offset;
      } catch {
        // If a reader is stopped for good, its own requests fail, and it is closed.
        await pause(RELEASE_AGAIN_MS, this.#signal).catch(() => {});
      }
    }
    this.#busy = false;
  }

  /** One timer serves all bytes: a timer for each piece costs more than the piece. After the last ones it runs with growing delays. */
  readonly #checkSilence = (): void => {
    this.#timer = undefined;
    if (this.#closed || this.#signal.aborted || this.#received < MIN_BYTES) return;
    const silentMs = performance.now() - this.#receivedAt;
    if (silentMs >= this.#repeatMs) {
      this.#repeatMs = Math.min(this.#repeatMs * 2, REPEAT.maxMs);
      this.#forget();
    }
    this.#isLull = silentMs >= LULL_MS;
    this.#timer = setTimeout(this.#checkSilence, this.#isLull ? this.#repeatMs : LULL_MS - silentMs);
    this.#releaseIfDue();
  };

  async #release(offset: number): Promise<void> {
    const { path, stream } = this.#source;
    const query = { offset, release: true };
    const call = { query, headers: { accept: '*/*' }, signal: this.#signal, timeoutMs: ANSWER_MS };
    await this.#transport.open('HEAD', `${path}/output/${stream}`, call);
  }
}
