import { type OutputCaps, OutputStream } from './output-stream.ts';

/** Time within which small writes become one chunk, ms. The first write after a pause is emitted immediately. */
const COALESCE_MS = 5;
/** Bytes within that time up to which a terminal's output is emitted immediately: echoes, and the redrawing of a screen. */
const PROMPT_BYTES = 2048;
/** Time for which an unfinished character waits for its rest, ms. */
const HOLD_MS = 1000;

export type StreamName = 'stdout' | 'stderr';

export interface OutputOptions extends OutputCaps {
  /** Whether it runs on a terminal, at which a user may wait for the echo of each key. */
  isTerminal: boolean;
}

/** Converts a command's output to chunks for reports. Owns one timer, which `finish` ends. */
export class Output {
  readonly #isTerminal: boolean;
  readonly #streams: Record<StreamName, OutputStream>;
  #timer: NodeJS.Timeout | undefined;
  #holding = false;
  #emittedAt = Number.NEGATIVE_INFINITY;
  /** Bytes pushed since the start of the present span of COALESCE_MS. */
  #recent = { since: Number.NEGATIVE_INFINITY, bytes: 0 };

  /** Emits what the caps allow of each stream, in chunks. */
  constructor(options: OutputOptions, emit: (stream: StreamName, chunk: Buffer) => void) {
    const { isTerminal, ...caps } = options;
    this.#isTerminal = isTerminal;
    this.#streams = {
      stdout: new OutputStream(caps, (chunk) => emit('stdout', chunk)),
      stderr: new OutputStream(caps, (chunk) => emit('stderr', chunk)),
    };
  }

  /** Bytes emitted of a stream. */
  kept(stream: StreamName): number {
    return this.#streams[stream].kept;
  }

  /** Bytes pushed of a stream, emitted or held back. */
  taken(stream: StreamName): number {
    return this.#streams[stream].kept + this.#streams[stream].held;
  }

  /** Sets the number of bytes of a stream that are emitted in total. */
  cap(stream: StreamName, capBytes: number): void {
    this.#streams[stream].cap(capBytes);
  }

  /** Adds the last bytes of a stream that were not pushed. Pushed bytes precede them and are emitted first. */
  pushTail(stream: StreamName, bytes: Buffer): void {
    this.finish();
    this.#streams[stream].tail.push(bytes);
  }

  /** Emits the last bytes past the caps, once. Call it after `finish`. */
  emitTails(emit: (stream: StreamName, bytes: Buffer) => void): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const bytes = this.#streams[stream].tail.take();
      if (bytes.length > 0) emit(stream, bytes);
    }
  }

  /** Adds bytes of a stream. Older bytes that the other stream holds back are emitted first, which keeps the order of the reads. */
  push(stream: StreamName, bytes: Buffer): void {
    this.#streams[stream === 'stdout' ? 'stderr' : 'stdout'].flush();
    this.#streams[stream].push(bytes);
    const isPrompt = this.#isTerminal && this.#recentWith(bytes.length) <= PROMPT_BYTES;
    if (this.#timer !== undefined && !this.#holding) return;
    const wait = this.#emittedAt + COALESCE_MS - performance.now();
    if (wait <= 0 || isPrompt) this.#flush();
    else this.#arm(wait, this.#flush, false);
  }

  /** Emits all bytes held back. It is the last call. */
  finish(): void {
    clearTimeout(this.#timer);
    for (const stream of this.#inOrder()) stream.finish();
  }

  #recentWith(bytes: number): number {
    const now = performance.now();
    if (now >= this.#recent.since + COALESCE_MS) this.#recent = { since: now, bytes: 0 };
    this.#recent.bytes += bytes;
    return this.#recent.bytes;
  }

  readonly #flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const stream of this.#inOrder()) stream.flush();
    this.#emittedAt = performance.now();
    if (this.#inOrder().some(({ held }) => held > 0)) this.#arm(HOLD_MS, this.#giveUp, true);
  };

  readonly #giveUp = (): void => {
    this.#timer = undefined;
    for (const stream of this.#inOrder()) stream.finish();
  };

  #arm(ms: number, then: () => void, holding: boolean): void {
    clearTimeout(this.#timer);
    this.#holding = holding;
    this.#timer = setTimeout(then, ms);
  }

  #inOrder(): OutputStream[] {
    return [this.#streams.stdout, this.#streams.stderr];
  }
}
