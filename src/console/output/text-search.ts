/** Finds the lines that contain a text, one time slice after another, so that millions of lines do not block the page. */
import type { OutputLog, Stream } from './output-log.ts';

const LINES_A_LOOK = 2000;

/** A search for one text in a log, resumed after each slice of time. */
export class TextSearch {
  /** Matching lines, in order. */
  readonly lines: number[] = [];
  readonly #needle: string;
  readonly #only: Stream | undefined;
  #searched = 0;

  /** Letters match in either case. */
  constructor(needle: string, only?: Stream) {
    this.#needle = needle.toLowerCase();
    this.#only = only;
  }

  /** Continues the search for about `budgetMs`. Returns whether there is more to search. The last line may grow, so it is searched again. */
  advance(log: OutputLog, budgetMs: number, now: () => number): boolean {
    const until = now() + budgetMs;
    if (this.#searched >= log.length && log.length > 0) this.#searched = log.length - 1;
    while (this.#searched < log.length) {
      const to = Math.min(this.#searched + LINES_A_LOOK, log.length);
      for (let line = this.#searched; line < to; line += 1) this.#look(log, line);
      this.#searched = to;
      if (now() > until) return this.#searched < log.length;
    }
    return false;
  }

  #look(log: OutputLog, line: number): void {
    if (this.#only !== undefined && log.stream(line) !== this.#only) return;
    if (this.lines.at(-1) === line) return;
    if (log.plainText(line).toLowerCase().includes(this.#needle)) this.lines.push(line);
  }
}
