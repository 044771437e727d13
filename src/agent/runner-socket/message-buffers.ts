/** Size below which buffers are not pooled, because plain allocation is as fast. */
const SMALL_BYTES = 16 * 1024;
/** Above the largest message of records that a runner of this version sends. */
const BUFFER_BYTES = 160 * 1024;
/** Maximum number of pooled buffers. More are in use only while the server is too slow. */
const MAX_KEPT = 32;

/**
 * A pool of buffers for messages from runner to server, which are reused once they are sent. New memory for each message costs more than the
 * rest of its handling, and the memory of a burst is returned to the system late or never.
 */
export class MessageBuffers {
  readonly #free: ArrayBufferLike[] = [];

  /** Returns a buffer of `bytes` bytes. */
  take(bytes: number): Buffer {
    if (bytes < SMALL_BYTES || bytes > BUFFER_BYTES) return Buffer.allocUnsafe(bytes);
    return Buffer.from(this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES).buffer, 0, bytes);
  }

  /** Returns `message` to the pool: an unused buffer of the pool, or a view into one. */
  giveBack(message: Buffer): void {
    const { buffer } = message;
    if (buffer.byteLength === BUFFER_BYTES && this.#free.length < MAX_KEPT) this.#free.push(buffer);
  }
}
