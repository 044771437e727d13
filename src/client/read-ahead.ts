/** Reads `source` ahead while the consumer is busy, and yields the bytes read meanwhile as one piece. Holds at most `maxBytes` and one piece. */
export async function* readAhead(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const buffer = new Buffered(maxBytes);
  const filled = buffer.fill(source);
  try {
    for (let piece = await buffer.take(); piece !== undefined; piece = await buffer.take()) yield piece;
    await filled;
  } finally {
    buffer.leave();
    filled.catch(() => {});
  }
}

class Buffered {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #size = 0;
  #isOver = false;
  /** Settles when there are bytes, or at the end. */
  #more = Promise.withResolvers<void>();
  /** Settles when the consumer has taken all bytes. */
  #room = Promise.withResolvers<void>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Reads to the end of `source`, or until the consumer leaves. Rejects if the source fails. */
  async fill(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const piece of source) {
        if (this.#isOver) return;
        this.#pieces.push(piece);
        this.#size += piece.length;
        this.#more.resolve();
        if (this.#size >= this.#maxBytes) await this.#room.promise;
      }
    } finally {
      this.#isOver = true;
      this.#more.resolve();
    }
  }

  /** Waits for bytes and returns all of them; undefined at the end. */
  async take(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0 && !this.#isOver) {
      await this.#more.promise;
      this.#more = Promise.withResolvers();
    }
    const [first, ...others] = this.#pieces;
    if (first === undefined) return undefined;
    const whole = others.length === 0 ? first : this.#joined();
    this.#pieces = [];
    this.#size = 0;
    this.#room.resolve();
    this.#room = Promise.withResolvers();
    return whole;
  }

  /** Ends the reading when the consumer stops. */
  leave(): void {
    this.#isOver = true;
    this.#room.resolve();
  }

  #joined(): Uint8Array {
    const whole = new Uint8Array(this.#size);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}
