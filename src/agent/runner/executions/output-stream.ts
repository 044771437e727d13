import { MAX_CHUNK_BYTES } from '../../../core/report.ts';
import { Tail } from '../spawner/tail.ts';
import { cutAt, unfinishedBytes } from './chunks.ts';

const LARGE_BYTES = MAX_CHUNK_BYTES / 2;

/** Limits of each stream: the bytes emitted, and the last bytes kept of those past them. */
export interface OutputCaps {
  capBytes: number;
  tailBytes: number;
}

/** Cuts one stream of a command's output into chunks of at most 64 KiB, up to the cap, without splitting characters. */
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

  /** Sets the number of bytes emitted in total; at least those emitted already. */
  cap(capBytes: number): void {
    this.#left = Math.max(0, capBytes - this.kept);
  }

  /** Bytes held back: to be coalesced, or because a character is unfinished. */
  get held(): number {
    return this.#held;
  }

  /** Adds bytes that were read. Chunks of the maximum size are emitted immediately. Bytes past the cap go to the tail. */
  push(bytes: Buffer): void {
    if (this.#left === 0) {
      this.tail.push(bytes);
      return;
    }
    // A large piece is emitted unchanged, because joining large pieces copies all bytes.
    if (this.#held >= LARGE_BYTES && this.#held + bytes.length >= MAX_CHUNK_BYTES) this.#emitWhole(1);
    this.#parts.push(bytes);
    this.#held += bytes.length;
    if (this.#held >= MAX_CHUNK_BYTES) this.#emitWhole(MAX_CHUNK_BYTES);
  }

  /** Emits the bytes held back, except an unfinished character. */
  flush(): void {
    if (this.#held > 0) this.#emitWhole(1);
  }

  /** Emits all bytes held back, also an unfinished character, whose rest is late or missing. */
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
