/** The destination of log lines: a descriptor that is written without waiting for its reader, with a bounded buffer. */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { LOG_KEY } from './log-keys.ts';
import { readableLine } from './readable-line.ts';

/** Bytes kept in memory for a reader that has stopped reading. */
const MAX_WAITING_BYTES = 1024 * 1024;
const RETRY_INTERVAL_MS = 100;
/** Time for the last lines when the process exits, ms. */
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
 * Writes a line at once if the descriptor takes it, else keeps it until the descriptor does. Beyond `maxWaitingBytes` lines are dropped,
 * and counted in a line of their own. Kept lines are written when the process exits, for at most a second.
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

  /** Takes a line of JSON. Never throws, never waits. */
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

  /** Writes as much as the descriptor takes, and tries again later if some is left. */
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

  /** The count of dropped lines comes last, when the reader reads again. */
  #next(): Buffer | undefined {
    if (this.#waiting.length === 0 && this.#droppedLines > 0) {
      this.#keep(Buffer.from(droppedLine(this.#droppedLines)));
      this.#droppedLines = 0;
    }
    return this.#waiting[0];
  }
}

/** Returns how many bytes the descriptor took: none if it is full, all if nobody can read them any more. */
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
    // Without a descriptor 2 nothing is logged; the process runs on.
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

/** Sockets of Node are non-blocking. This one is held as long as the process runs, since its end would close `fd`. */
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
