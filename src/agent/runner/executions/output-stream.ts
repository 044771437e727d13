import { MAX_CHUNK_BYTES } from '../../../core/report.ts';
import { Tail } from '../spawner/tail.ts';
import { cutAt, unfinishedBytes } from './chunks.ts';

const LARGE_BYTES = MAX_CHUNK_BYTES / 2;

/** For each stream: the bytes emitted, and the bytes of the end that are kept once more have come. */
export interface OutputCaps {
  capBytes: number;
  tailBytes: number;
}

/** One stream of a command's output, cut into chunks: at most 64 KiB each, never through a character, up to the cap. */
export class OutputStream {
  readonly #emit: (chunk: Buffer) => void;
  /** Bytes that may still be emitted. */
  #left: number;
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes emitted in total. */
  kept = 0;
  /** The last bytes of those past the cap. */
  readonly tail: Tail;

  constructor({ capBytes, tailBytes }: OutputCaps, emit: (chunk: Buffer) => void) {
    this.#left = capBytes;
    this.tail = new Tail(tailBytes);
    this.#emit = emit;
  }

  /** Sets how many bytes are emitted in total, but no fewer than were already. */
  cap(capBytes: number): void {
    this.#left = Math.max(0, capBytes - this.kept);
  }

  /** Bytes held back: to be coalesced, or because a character is unfinished. */
  get held(): number {
    return this.#held;
  }

  /** Takes bytes that were read. Whole chunks of the largest size are emitted at once. Bytes past the cap go to the tail. */
  push(bytes: Buffer): void {
    if (this.#left === 0) {
      this.tail.push(bytes);
      return;
    }
    // A piece that is large enough is emitted as it is: joining large pieces costs a copy of everything.
    if (this.#held >= LARGE_BYTES && this.#held + bytes.length > MAX_CHUNK_BYTES) this.#emitWhole(1);
    this.#parts.push(bytes);
    this.#held += bytes.length;
    if (this.#held >= MAX_CHUNK_BYTES) this.#emitWhole(MAX_CHUNK_BYTES);
  }

  /** Emits the bytes held back, except an unfinished character. */
  flush(): void {
    if (this.#held > 0) this.#emitWhole(1);
  }

  /** Emits all bytes held back, an unfinished character too: its rest is too late, or never comes. */
  finish(): void {
    this.flush();
    if (this.#held > 0) this.#send(this.#take());
  }

  /** Emits whole characters while at least `atLeast` bytes are held back, and keeps the rest. */
  #emitWhole(atLeast: number): void {
    let bytes = this.#take();
    while (bytes.length >= atLeast && this.#left > 0) {
      const capped = bytes.length > this.#left && this.#left <= MAX_CHUNK_BYTES;
      const chunk = capped ? cutAt(bytes, this.#left) : wholeCharacters(bytes.subarray(0, MAX_CHUNK_BYTES));
      if (chunk.length > 0) this.#send(chunk);
      if (capped) this.#left = 0;
      else if (chunk.length === 0) break;
      bytes = bytes.subarray(chunk.length);
    }
    if (bytes.length === 0 || this.#left === 0) {
      this.tail.push(bytes);
      return;
    }
    this.#parts = [bytes];
    this.#held = bytes.length;
  }

  #take(): Buffer {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held = 0;
    return bytes;
  }

  #send(chunk: Buffer): void {
    this.#left -= chunk.length;
    this.kept += chunk.length;
    this.#emit(chunk);
  }
}

function wholeCharacters(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.length - unfinishedBytes(bytes));
}
