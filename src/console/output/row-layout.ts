/** Computes the rows of each output line: a wrapped line takes several, a hidden one none. */
import type { OutputLog, Stream } from './output-log.ts';

export interface Layout {
  /** Columns of a row. Infinity: lines are not wrapped. */
  columns: number;
  /** The only stream that is shown. Absent: both. */
  only?: Stream | undefined;
}

/** The rows of all lines of a log, for one width and one choice of streams. */
export class RowLayout {
  readonly #log: OutputLog;
  readonly #layout: Layout;
  /** For each line, the row after its last one. */
  #ends = new Uint32Array(1024);
  #lines = 0;
  /** Width of the widest shown line. */
  widest = 0;

  constructor(log: OutputLog, layout: Layout) {
    this.#log = log;
    this.#layout = layout;
    this.update(0);
  }

  get rows(): number {
    return this.#lines === 0 ? 0 : (this.#ends[this.#lines - 1] ?? 0);
  }

  /** Lays out the lines from `from` on. */
  update(from: number): void {
    const { length } = this.#log;
    this.#makeRoom(length);
    let end = from === 0 ? 0 : (this.#ends[from - 1] ?? 0);
    for (let line = from; line < length; line += 1) {
      end += this.#rowsOf(line);
      this.#ends[line] = end;
    }
    this.#lines = length;
  }

  /** Returns the first row of a line. */
  top(line: number): number {
    return line === 0 ? 0 : (this.#ends[line - 1] ?? 0);
  }

  rowsOfLine(line: number): number {
    return (this.#ends[line] ?? 0) - this.top(line);
  }

  /** Returns the line of a row: the first line whose end is after it. */
  lineAt(row: number): number {
    let low = 0;
    let high = this.#lines;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) > row) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #rowsOf(line: number): number {
    const { columns, only } = this.#layout;
    if (only !== undefined && this.#log.stream(line) !== only) return 0;
    const width = this.#log.columns(line);
    if (width > this.widest) this.widest = width;
    return columns === Number.POSITIVE_INFINITY ? 1 : Math.max(1, Math.ceil(width / columns));
  }

  #makeRoom(lines: number): void {
    if (lines <= this.#ends.length) return;
    const ends = new Uint32Array(Math.max(lines, this.#ends.length * 2));
    ends.set(this.#ends.subarray(0, this.#lines));
    this.#ends = ends;
  }
}
