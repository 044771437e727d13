const NOTHING = Buffer.alloc(0);

/** Keeps the last bytes of a stream, in a ring that is allocated when the first ones come. */
export class Tail {
  readonly #size: number;
  #ring = NOTHING;
  #pushed = 0;

  /** `size`: bytes kept at most. 0: none. */
  constructor(size: number) {
    this.#size = size;
  }

  push(bytes: Buffer): void {
    if (this.#size === 0 || bytes.length === 0) return;
    if (this.#ring.length === 0) this.#ring = Buffer.allocUnsafe(this.#size);
    const skipped = Math.max(0, bytes.length - this.#size);
    const at = (this.#pushed + skipped) % this.#size;
    const copied = bytes.copy(this.#ring, at, skipped);
    bytes.copy(this.#ring, 0, skipped + copied);
    this.#pushed += bytes.length;
  }

  /** Returns the bytes that it holds, oldest first, and empties it. */
  take(): Buffer {
    const [ring, pushed] = [this.#ring, this.#pushed];
    this.#ring = NOTHING;
    this.#pushed = 0;
    if (pushed <= this.#size) return ring.subarray(0, pushed);
    const at = pushed % this.#size;
    return Buffer.concat([ring.subarray(at), ring.subarray(0, at)]);
  }
}
