/** Output as lines of stdout and stderr, which grow as bytes arrive. A line of one stream is not broken by the other. */
import { type AnsiState, overwritten, PLAIN, stateAfter, withoutAnsi } from './ansi.ts';
import { columnsOf } from './columns.ts';

export type Stream = 'stdout' | 'stderr';

/** Maximum length of a line. A longer one continues in the next line, because a browser cannot lay out megabytes without a break. */
const MAX_LINE_CHARS = 4000;
const FIRST_CAPACITY = 1024;

interface OpenStream {
  decoder: TextDecoder;
  /** The unfinished line. */
  line: number | undefined;
  state: AnsiState;
}

/** The lines of an output, stored as arrays of their parts, because there may be millions of them. */
export class OutputLog {
  /** Number of bytes so far. */
  bytes = 0;
  /** Rises with each change. */
  version = 0;
  readonly #texts: string[] = [];
  #columns = new Uint32Array(FIRST_CAPACITY);
  #isStderr = new Uint8Array(FIRST_CAPACITY);
  /** Start styles of lines that do not start plain. */
  readonly #states = new Map<number, AnsiState>();
  readonly #streams: Record<Stream, OpenStream> = { stdout: openStream(), stderr: openStream() };
  #changedFrom = 0;

  get length(): number {
    return this.#texts.length;
  }

  /** Appends the next bytes of a stream. */
  append(stream: Stream, bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#take(stream, this.#streams[stream].decoder.decode(bytes, { stream: true }));
  }

  /** Ends the log: half a character at the end is shown as a broken one. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) this.#take(stream, this.#streams[stream].decoder.decode());
  }

  /** Returns the line as a terminal would leave it, with its ANSI sequences. */
  text(line: number): string {
    return overwritten(this.#texts[line] ?? '');
  }

  plainText(line: number): string {
    return withoutAnsi(this.text(line));
  }

  stream(line: number): Stream {
    return this.#isStderr[line] === 1 ? 'stderr' : 'stdout';
  }

  columns(line: number): number {
    return this.#columns[line] ?? 0;
  }

  state(line: number): AnsiState {
    return this.#states.get(line) ?? PLAIN;
  }

  /** Returns the first line that changed since the last call. */
  takeChangedFrom(): number {
    const from = this.#changedFrom;
    this.#changedFrom = this.length;
    return from;
  }

  #take(stream: Stream, text: string): void {
    if (text === '') return;
    this.version += 1;
    const open = this.#streams[stream];
    const pieces = text.split('\n');
    pieces.forEach((piece, index) => {
      const last = index === pieces.length - 1;
      if (!last || piece !== '') this.#extend(stream, open, piece);
      if (!last) this.#finish(open);
    });
  }

  #extend(stream: Stream, open: OpenStream, piece: string): void {
    let rest = piece;
    do {
      open.line ??= this.#addLine(stream, open.state);
      const before = this.#texts[open.line] ?? '';
      const room = MAX_LINE_CHARS - before.length;
      this.#setText(open.line, before + rest.slice(0, room));
      rest = rest.slice(room);
      if (rest !== '') this.#finish(open);
    } while (rest !== '');
  }

  #finish(open: OpenStream): void {
    if (open.line !== undefined) open.state = stateAfter(this.#texts[open.line] ?? '', open.state);
    open.line = undefined;
  }

  #addLine(stream: Stream, state: AnsiState): number {
    const line = this.#texts.length;
    if (line >= this.#columns.length) this.#grow();
    this.#texts.push('');
    this.#isStderr[line] = stream === 'stderr' ? 1 : 0;
    if (state !== PLAIN) this.#states.set(line, state);
    return line;
  }

  #setText(line: number, text: string): void {
    this.#texts[line] = text;
    this.#columns[line] = columnsOf(withoutAnsi(overwritten(text)));
    this.#changedFrom = Math.min(this.#changedFrom, line);
  }

  #grow(): void {
    const columns = new Uint32Array(this.#columns.length * 2);
    columns.set(this.#columns);
    this.#columns = columns;
    const isStderr = new Uint8Array(this.#isStderr.length * 2);
    isStderr.set(this.#isStderr);
    this.#isStderr = isStderr;
  }
}

function openStream(): OpenStream {
  return { decoder: new TextDecoder(), line: undefined, state: PLAIN };
}
