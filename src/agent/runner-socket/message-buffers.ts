/** Below this the usual way is as good. */
const SMALL_BYTES = 16 * 1024;
/** Above the largest message of records of this version's runner. */
const BUFFER_BYTES = 160 * 1024;
/** More are on their way only while the server does not keep up. */
const MOST_KEPT = 32;

/**
 * Memory for messages on their way from runner to server, used again once they are sent. Fresh memory for each costs more
 * than all else that is done with a message, and what a flood leaves behind is given back late or never.
 */
export class MessageBuffers {
  readonly #free: ArrayBufferLike[] = [];

  /** A buffer of `bytes` bytes. */
  take(bytes: number): Buffer {
    if (bytes < SMALL_BYTES || bytes > BUFFER_BYTES) return Buffer.allocUnsafe(bytes);
    return Buffer.from(this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES).buffer, 0, bytes);
  }

  /** Nobody reads `message`, a buffer from here or a view into one, any more. */
  giveBack(message: Buffer): void {
    const { buffer } = message;
    if (buffer.byteLength === BUFFER_BYTES && this.#free.length < MOST_KEPT) this.#free.push(buffer);
  }
}
