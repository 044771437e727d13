/** The destination of log lines: a descriptor that is written without waiting for its reader, with a bounded buffer. */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { LOG_KEY } from './log-keys.ts';
import { readableLine } from './readable-line.ts';

/** Maximum bytes kept in memory while the reader does not read. */
const MAX_WAITING_BYTES = 1024 * 1024;
const RETRY_INTERVAL_MS = 100;
/** Time limit for writing the last lines when the process exits, ms. */
const FLUSH_TIMEOUT_MS = 1_000;
const FLUSH_INTERVAL_MS = 10;
const PINO_WARN = 40;

/** C1 controls, the delete character and characters that change the direction of text. JSON itself escapes C0. */
const UNPRINTABLE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export type LogFormat = 'json' | 'text';

interface LogDestinationOptions {
  /** The descriptor. It is not closed and, unless it is a socket, not changed. */
  fd: number;
  /** `text`: lines for people. */
  format?: LogFormat;
  maxWaitingBytes?: number;
}

/**
 * Writes a line immediately if the descriptor accepts it, and otherwise keeps it until then. Beyond `maxWaitingBytes` lines are dropped, and
 * counted in a separate line. Kept lines are written when the process exits, for at most a second.
 */
export class LogDestination {
  readonly #output: { fd: number; close: () => void };
  readonly #maxWaitingBytes: number;
  readonly #format: LogFormat;
  readonly #flushAtExit = () => this.#flush();
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #droppedLines = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor({ fd, format = 'json', maxWaitingBytes = MAX_WAITING_BYTES }: LogDestinationOptions) {
    this.#format = format;
    this.#output = openNonBlocking(fd);
    this.#maxWaitingBytes = maxWaitingBytes;
    process.on('exit', this.#flushAtExit);
  }

  /** Writes or keeps a line of JSON. Never throws and never blocks. */
  write(line: string): void {
    const text = this.#format === 'text' ? readableLine(line) : line;
    const bytes = Buffer.from(text.replace(UNPRINTABLE, escaped));
    if (this.#waitingBytes + bytes.length > this.#maxWaitingBytes) {
      this.#droppedLines++;
      return;
    }
    this.#keep(bytes);
    if (this.#retry === undefined) this.#drain();
  }

  /** Writes the kept lines, as at the exit of the process, and releases the descriptor. */
  close(): void {
    process.off('exit', this.#flushAtExit);
    this.#flush();
    clearTimeout(this.#retry);
    this.#output.close();
  }

  #keep(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Writes as many bytes as the descriptor accepts, and tries again later if some are left. */
  #drain(): void {
    this.#retry = undefined;
    if (this.#writeWaiting()) return;
    this.#retry = setTimeout(() => this.#drain(), RETRY_INTERVAL_MS);
    this.#retry.unref();
  }

  #flush(): void {
    const until = performance.now() + FLUSH_TIMEOUT_MS;
    const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    while (!this.#writeWaiting() && performance.now() < until) Atomics.wait(sleeper, 0, 0, FLUSH_INTERVAL_MS);
  }

  /** Whether everything is written. */
  #writeWaiting(): boolean {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const written = writeSome(this.#output.fd, next);
      this.#waitingBytes -= written;
      if (written < next.length) {
        this.#waiting[0] = next.subarray(written);
        return false;
      }
      this.#waiting.shift();
    }
    return true;
  }

  /** Returns the next bytes. The count of dropped lines comes last. */
  #next(): Buffer | undefined {
    if (this.#waiting.length === 0 && this.#droppedLines > 0) {
      this.#keep(Buffer.from(droppedLine(this.#droppedLines)));
      this.#droppedLines = 0;
    }
    return this.#waiting[0];
  }
}

/** Writes bytes. Returns the number accepted: 0 if the descriptor is full, all if it has no reader any more. */
function writeSome(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EAGAIN' ? 0 : bytes.length;
  }
}

/**
 * Returns a descriptor of the same file that does not block. A pipe or a terminal is opened once more, because the flag would affect
 * every process that shares it. A socket, or a pipe of another user, cannot be opened again: the flag is set there.
 */
function openNonBlocking(fd: number): { fd: number; close: () => void } {
  const shared = { fd, close: () => {} };
  try {
    const stats = fstatSync(fd);
    if (stats.isFile()) return shared;
    if (!stats.isSocket()) {
      const opened = openAgain(fd);
      if (opened !== undefined) return { fd: opened, close: () => closeSync(opened) };
    }
    if (stats.isSocket() || stats.isFIFO()) setNonBlocking(fd);
  } catch {
    // Without a descriptor 2 nothing is logged, and the process continues.
  }
  return shared;
}

function openAgain(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** Makes a descriptor non-blocking by a Socket of Node, which is kept while the process runs, since its end would close `fd`. */
function setNonBlocking(fd: number): void {
  held.add(new Socket({ fd, readable: false, writable: true }).unref());
}

const held = new Set<Socket>();

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function droppedLine(lines: number): string {
  const line = { level: PINO_WARN, time: new Date().toISOString(), [LOG_KEY.droppedLines]: lines };
  return `${JSON.stringify({ ...line, msg: 'log lines were dropped because nobody read standard error' })}\n`;
}
