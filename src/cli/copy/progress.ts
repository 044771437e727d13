import type { StatusLine } from '../terminal/status-line.ts';
import { size, uploadProgress } from '../terminal/upload-progress.ts';

interface Extent {
  /** Bytes in total, if known. */
  total: number | undefined;
  /** Bytes that an earlier copy sent. */
  offset?: number;
}

/** The progress of a copy: shown at a terminal, and reported when it is interrupted. */
export class CopyProgress {
  readonly #line: StatusLine;
  #copied = 0;

  constructor(line: StatusLine) {
    this.#line = line;
  }

  /** Formatted such as `12.0 MiB`. */
  get copied(): string {
    return size(this.#copied);
  }

  /** Yields the pieces, and counts those that the consumer took. */
  async *watch(pieces: AsyncIterable<Uint8Array>, { total, offset = 0 }: Extent): AsyncGenerator<Uint8Array> {
    const shown = uploadProgress(this.#line, total, { name: 'copied', offset });
    this.#copied = offset;
    if (offset > 0) this.#line.say(`${this.copied} were copied before; this continues from there`);
    try {
      for await (const piece of pieces) {
        yield piece;
        this.#copied += piece.length;
        shown(this.#copied);
      }
    } finally {
      this.#line.clear();
    }
  }
}
