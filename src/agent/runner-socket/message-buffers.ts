/** Below this size plain allocation is as good. */
const SMALL_BYTES = 16 * 1024;
/** Above the largest message of records that a runner of this version sends. */
const BUFFER_BYTES = 160 * 1024;
/** More buffers are in use only while the server does not keep up. */
const MAX_KEPT = 32;

/**
 * A pool of buffers for messages from runner to server, reused once they are sent. Fresh memory for each message costs more than the rest
 * of its handling, and what a flood leaves behind is returned to the system late or never.
 */
export class MessageBuffers {
  readonly #free: ArrayBufferLike[] = [];

  /** Returns a buffer of `bytes` bytes. */
  take(bytes: number): Buffer {
    if (bytes < SMALL_BYTES || bytes > BUFFER_BYTES) return Buffer.allocUnsafe(bytes);
    return Buffer.from(this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES).buffer, 0, bytes);
  }

  /** Takes back `message`, a buffer from here or a view into one, which nobody reads any more. */
  giveBack(message: Buffer): void {
    const { buffer } = message;
    if (buffer.byteLength === BUFFER_BYTES && this.#free.length < MAX_KEPT) this.#free.push(buffer);
  }
}
