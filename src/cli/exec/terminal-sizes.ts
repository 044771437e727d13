/** Sends the sizes of this terminal to a command, one after the other, so that an older one never replaces a newer one. */
import { pause } from '../../client/http/backoff.ts';
import { type ExecutionHandle, RefusedError } from '../../client/main.ts';

type Size = Parameters<ExecutionHandle['resize']>[0];

/** Time limit for the answer, ms. The connection may be dead. */
const TIMEOUT_MS = 5000;
const RETRY_MS = 500;
/** Sizes that wait. Full-screen programs are made to draw their screen by two sizes in a row. */
const MAX_WAITING = 2;

/** The size of the terminal of one command. */
export class TerminalSizes {
  readonly #handle: Pick<ExecutionHandle, 'resize'>;
  readonly #disposed = new AbortController();
  readonly #waiting: Size[] = [];
  #sending = false;

  constructor(handle: Pick<ExecutionHandle, 'resize'>) {
    this.#handle = handle;
  }

  /** Sends a size until it has arrived, or newer ones wait. */
  set(size: Size): void {
    if (this.#waiting.length === MAX_WAITING) this.#waiting.pop();
    this.#waiting.push(size);
    if (!this.#sending) void this.#send();
  }

  dispose(): void {
    this.#disposed.abort();
  }

  async #send(): Promise<void> {
    this.#sending = true;
    let [size] = this.#waiting.splice(0, 1);
    while (size !== undefined && !this.#disposed.signal.aborted) {
      const isSettled = await this.#try(size);
      if (isSettled || this.#waiting.length > 0) [size] = this.#waiting.splice(0, 1);
    }
    this.#sending = false;
  }

  /** Returns false if the size may be sent again. */
  async #try(size: Size): Promise<boolean> {
    const { signal } = this.#disposed;
    try {
      await this.#handle.resize(size, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
      return true;
    } catch (error) {
      // INVALID_STATE: the machine is offline.
      if (error instanceof RefusedError && !error.retryable && error.code !== 'INVALID_STATE') return true;
      await pause(RETRY_MS, signal).catch(() => {});
      return false;
    }
  }
}
