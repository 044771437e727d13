import { ExecplaneError, UnreachableError } from './errors.ts';
import type { HttpResponse } from './transport.ts';

/**
 * Yields the body of a response in pieces. Throws UnreachableError if it breaks off, or if no piece arrives for `silenceMs` during a read. The
 * time that the caller takes for a piece does not count. `origin`: of the server.
 */
export async function* readChunks(
  response: HttpResponse,
  { origin, silenceMs }: { origin: string; silenceMs: number },
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const silence = new Silence(silenceMs, () => void reader.cancel().catch(() => {}));
  try {
    for (;;) {
      silence.begins();
      const { done, value } = await reader.read();
      silence.ends();
      if (silence.isTooLong) throw new ExecplaneError(`no data came for ${silenceMs} ms`);
      if (done) return;
      yield value;
    }
  } catch (cause) {
    throw new UnreachableError(origin, { cause });
  } finally {
    silence.dispose();
    await reader.cancel().catch(() => {});
  }
}

/** Measures how long a read takes. One timer serves all reads, because a timer for each piece costs more than the piece. */
class Silence {
  /** Whether a read has taken too long, and was ended. */
  isTooLong = false;
  readonly #ms: number;
  readonly #endRead: () => void;
  /** The beginning of the present read. Undefined: there is none. */
  #since: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number, endRead: () => void) {
    this.#ms = ms;
    this.#endRead = endRead;
  }

  begins(): void {
    this.#since = performance.now();
    this.#timer ??= setTimeout(this.#check, this.#ms);
  }

  ends(): void {
    this.#since = undefined;
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }

  readonly #check = (): void => {
    this.#timer = undefined;
    if (this.#since === undefined) return;
    const left = this.#since + this.#ms - performance.now();
    if (left > 0) this.#timer = setTimeout(this.#check, left);
    else {
      this.isTooLong = true;
      this.#endRead();
    }
  };
}
