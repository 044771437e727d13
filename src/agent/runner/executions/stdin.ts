import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Stdin, StdinAck, StdinWriter } from '../../../core/protocol.ts';

/** Maximum number of bytes that are sent to the spawner before the process has read them. */
const AHEAD_BYTES = 1 << 20;
const PIECE_BYTES = 256 * 1024;
/** Bytes from which progress is reported while others wait: the agent may send only so many frames. */
const REPORT_BYTES = 256 * 1024;
/** Size of a fixed stdin above which it is kept in a file. */
const IN_MEMORY_BYTES = 64 * 1024;
/** Waiting bytes above which no more of a live stdin is accepted. */
const QUEUE_BYTES = 1 << 20;
/** The number of writers of a live stdin whose positions are kept. */
const MAX_WRITERS = 256;

type WriterPosition = NonNullable<StdinAck['writer']>;

/** The source of a stdin's bytes, in order. */
export interface StdinSource {
  /** Returns the next bytes, up to `maxBytes`. `end`: they are the last ones. Undefined: there are none yet. */
  next(maxBytes: number): { bytes: Buffer; end: boolean } | undefined;
  close(): void;
}

/** Feeds a process's stdin, never more than 1 MiB ahead of the process. */
export class StdinFeed {
  readonly #source: StdinSource;
  #write: ((bytes: Buffer, end: boolean) => void) | undefined;
  #taken = 0;
  /** Whether its source may have bytes for which there is no room. */
  #waits = false;
  #reported = { offset: 0, closed: false };
  /** Number of bytes sent to the spawner. */
  sentBytes = 0;
  /** Whether all bytes were sent to the spawner, or the process does not read any more. */
  closed = false;

  constructor(source: StdinSource) {
    this.#source = source;
  }

  /** Whether there is progress to report: much of it, or all that has come. */
  get hasProgress(): boolean {
    const bytes = this.sentBytes - this.#reported.offset;
    return this.closed !== this.#reported.closed || bytes >= (this.#waits ? REPORT_BYTES : 1);
  }

  /** Returns the state that is reported to the server now. */
  report(): { offset: number; closed: boolean } {
    this.#reported = { offset: this.sentBytes, closed: this.closed };
    return this.#reported;
  }

  /** Starts the feed of a running process. `write` sends bytes to it. */
  open(write: (bytes: Buffer, end: boolean) => void): void {
    this.#write = write;
    this.sendMore();
  }

  /** Records that the process has read `bytes` so far, or (`closed`) does not read any more. */
  consumed(bytes: number, closed: boolean): void {
    this.#taken = Math.max(this.#taken, bytes);
    if (closed) this.close();
    else this.sendMore();
  }

  /** Sends as many bytes as the window allows. */
  sendMore(): void {
    while (this.#write !== undefined && !this.closed) {
      const room = Math.min(PIECE_BYTES, AHEAD_BYTES - (this.sentBytes - this.#taken));
      const piece = room > 0 ? this.#source.next(room) : undefined;
      this.#waits = room <= 0;
      if (piece === undefined) return;
      this.sentBytes += piece.bytes.length;
      this.#write(piece.bytes, piece.end);
      if (piece.end) this.close();
    }
  }

  close(): void {
    if (!this.closed) this.#source.close();
    this.closed = true;
  }
}

/** Returns a fixed stdin. A large one is kept in an unnamed file in `directory` that only this process has open. */
export function fixedStdin(bytes: Buffer, directory: string, dispatchNumber: number): StdinSource {
  if (bytes.length > IN_MEMORY_BYTES) {
    const fd = spool(bytes, join(directory, `stdin-${dispatchNumber}`));
    if (fd !== undefined) return fileSource(fd, bytes.length);
  }
  // A copy, since `bytes` is a view of a whole message from the socket.
  const own = Buffer.from(bytes);
  let at = 0;
  return {
    next: (maxBytes) => {
      const piece = own.subarray(at, at + maxBytes);
      at += piece.length;
      return { bytes: piece, end: at === own.length };
    },
    close: () => {},
  };
}

/** Writes bytes to an unnamed file. Undefined if the disk has no room. */
function spool(bytes: Buffer, path: string): number | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    return fd;
  } catch {
    if (fd !== undefined) closeSync(fd);
    return undefined;
  }
}

function fileSource(fd: number, size: number): StdinSource {
  let at = 0;
  return {
    next: (maxBytes) => {
      const bytes = Buffer.allocUnsafe(Math.min(maxBytes, size - at));
      at += readSync(fd, bytes, 0, bytes.length, at);
      return { bytes, end: at >= size };
    },
    close: () => closeSync(fd),
  };
}

/** A stdin that arrives while the command runs, in pieces that may repeat bytes. */
export class LiveStdin implements StdinSource {
  #pieces: Buffer[] = [];
  #waiting = 0;
  /** Number of bytes accepted from the start. */
  #received = 0;
  #ends = false;
  /** The last bytes of each writer, the writer that wrote last at the end. */
  readonly #writers = new Map<string, WriterPosition>();

  /** Accepts the new part of a piece. Accepts nothing after a gap, or when full. Returns the position of the piece's writer, if it has one. */
  push({ offset, close, writer }: Omit<Stdin, 'type' | 'execution_id'>, bytes: Buffer): WriterPosition | undefined {
    if (writer !== undefined) return this.#pushOf(writer, bytes);
    if (this.#ends || offset > this.#received || this.#waiting > QUEUE_BYTES) return undefined;
    this.#add(bytes.subarray(this.#received - offset));
    this.#ends = close && offset + bytes.length === this.#received;
    return undefined;
  }

  /** The bytes begin at `offset` of the writer's own bytes. A writer that is not known may begin anywhere. */
  #pushOf({ id, offset }: StdinWriter, bytes: Buffer): WriterPosition {
    const known = this.#writers.get(id) ?? { id, offset, end: this.#received };
    const isAccepted = !this.#ends && offset <= known.offset && this.#waiting <= QUEUE_BYTES;
    const fresh = bytes.subarray(isAccepted ? known.offset - offset : bytes.length);
    this.#add(fresh);
    const position = fresh.length === 0 ? known : { id, offset: known.offset + fresh.length, end: this.#received };
    this.#writers.delete(id);
    this.#writers.set(id, position);
    const [oldest] = this.#writers.keys();
    if (this.#writers.size > MAX_WRITERS && oldest !== undefined) this.#writers.delete(oldest);
    return position;
  }

  #add(fresh: Buffer): void {
    this.#received += fresh.length;
    this.#waiting += fresh.length;
    if (fresh.length > 0) this.#pieces.push(fresh);
  }

  next(maxBytes: number): { bytes: Buffer; end: boolean } | undefined {
    const first = this.#pieces[0];
    if (first === undefined) return this.#ends ? { bytes: Buffer.alloc(0), end: true } : undefined;
    const bytes = first.subarray(0, maxBytes);
    if (bytes.length === first.length) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(bytes.length);
    this.#waiting -= bytes.length;
    return { bytes, end: this.#ends && this.#pieces.length === 0 };
  }

  close(): void {
    this.#pieces = [];
    this.#waiting = 0;
    this.#ends = true;
  }
}
