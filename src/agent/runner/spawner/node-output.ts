/** One output stream of a command in the Node spawner: emitted up to a cap, counted past it, drained after the end. */
import { spawn } from 'node:child_process';
import { closeSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Fifo } from './fifos.ts';
import { errnoOf } from './lookup.ts';
import { Tail } from './tail.ts';

const READ_BYTES = 65_536;
/** Maximum size of an unprivileged program's pipe, in bytes (/proc/sys/fs/pipe-max-size). */
const MAX_PIPE_BYTES = 1_048_576;

export interface OutputListener {
  hand(bytes: Buffer): void;
  /** Called when bytes were read that are only counted. */
  dropped(): void;
  /** Called when every writer has closed the pipe. */
  closed(): void;
}

/** One output stream of a command in the Node spawner. Owns its pipe until the pipe is left to the drain. */
export class NodeOutput {
  total = 0;
  /** The last of the bytes that were not emitted. */
  readonly tail: Tail;
  readonly #fifo: Fifo;
  readonly #socket: Socket;
  readonly #keepBytes: number;
  readonly #listener: OutputListener;
  #kept = 0;
  #ended = false;
  #paused = false;
  #readable = true;
  #closed = false;

  constructor(
    fifo: Fifo,
    { keepBytes, tailBytes }: { keepBytes: number; tailBytes: number },
    listener: OutputListener,
  ) {
    this.tail = new Tail(tailBytes);
    this.#fifo = fifo;
    this.#keepBytes = keepBytes;
    this.#listener = listener;
    this.#socket = new Socket({ fd: fifo.read, readable: true, writable: false });
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#socket.on('error', () => {}); // `close` follows
    this.#socket.on('end', () => {
      this.#readable = false; // Its descriptor is closed before `close` comes, and may be reused by then.
    });
    this.#socket.on('close', () => this.#close());
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  /** Emits the bytes that are in the pipe now, and discards later ones. */
  finish(): void {
    let left = MAX_PIPE_BYTES;
    while (left > 0 && this.#readable) {
      const bytes = Buffer.allocUnsafe(READ_BYTES);
      const count = this.#readNow(bytes);
      if (count === 0) break;
      left -= count;
      this.#take(bytes.subarray(0, count));
    }
    this.#ended = true;
    this.resume();
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Leaves the pipe to a separate process, which reads it to its end. */
  leaveToOthers(): void {
    if (this.#closed) return;
    const stdio = [this.#fifo.readBlocking, 'ignore', 'ignore'] as const;
    const drain = spawn('cat', [], { stdio: [...stdio], cwd: '/', env: { PATH: '/bin:/usr/bin' }, detached: true });
    drain.on('error', () => {});
    drain.unref();
    this.#socket.destroy();
    this.#close();
  }

  #take(bytes: Buffer): void {
    if (this.#ended) return;
    this.total += bytes.length;
    const remaining = this.#keepBytes - this.#kept;
    const kept = bytes.length > remaining ? bytes.subarray(0, remaining) : bytes;
    this.#kept += kept.length;
    if (kept.length > 0) this.#listener.hand(kept);
    if (kept.length === bytes.length) return;
    this.tail.push(bytes.subarray(kept.length));
    this.#listener.dropped();
  }

  /** Reads without waiting. Returns 0 if there are no bytes, or at the end. */
  #readNow(bytes: Buffer): number {
    try {
      return readSync(this.#fifo.read, bytes);
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') return 0;
      throw error;
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readable = false;
    closeSync(this.#fifo.readBlocking);
    this.#listener.closed();
  }
}
