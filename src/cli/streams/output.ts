/** Stdout and stderr: every byte is written, or there is an error. */
import { write, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { getSystemErrorMessage } from 'node:util';
import { CliError } from '../cli-error.ts';
import { kindOf, openPipeAnew, wasClosed } from './descriptor.ts';

export type OutputName = 'stdout' | 'stderr';
const DESCRIPTORS = { stdout: 1, stderr: 2 } as const;
/** Delay before the next attempt, ms, if another process made the description non-blocking. */
const RETRY_MS = 5;
const OUTPUT_FAILED = 125;

/** The reader of stdout or stderr has closed it. */
export class ReaderGoneError extends Error {
  override readonly name = 'ReaderGoneError';
}

/** Output that cannot be written: a full disk, an I/O error, a closed stream. */
export class OutputError extends CliError {
  constructor(name: OutputName, { cause }: { cause: NodeJS.ErrnoException }) {
    const reason = cause.errno === undefined ? cause.message : getSystemErrorMessage(cause.errno);
    super(`${name} cannot be written: ${reason}.`, { exitCode: OUTPUT_FAILED, cause });
    this.name = 'OutputError';
  }
}

type Sink = (bytes: Uint8Array) => Promise<void>;
const sinks = new Map<OutputName, Sink>();
let blockedWrites = 0;

/** Whether a write that cannot be interrupted is under way: `process.exit` would wait for it. */
export function isWriteBlocked(): boolean {
  return blockedWrites > 0;
}

/** Throws OutputError if the stream was closed when the program was started. */
export function assertOpen(name: OutputName): void {
  if (wasClosed(name)) throw new OutputError(name, { cause: new Error('it is closed') });
}

/** Writes bytes unchanged. Settles when they are written. Throws ReaderGoneError, OutputError. */
export async function writeOutput(name: OutputName, bytes: Uint8Array): Promise<void> {
  if (bytes.length === 0) return;
  assertOpen(name);
  const sink = sinks.get(name) ?? sinkOf(name);
  sinks.set(name, sink);
  try {
    await sink(bytes);
  } catch (error) {
    throw outputFailure(name, error);
  }
}

/** Prints text for people and programs. It is written when this returns. Throws ReaderGoneError, OutputError. */
export function print(text: string): void {
  writeNow('stdout', text);
}

/** Prints a message to stderr. A failure is ignored, because it cannot be reported. */
export function printError(text: string): void {
  try {
    writeNow('stderr', text);
  } catch {
    // Ignored, see above.
  }
}

function sinkOf(name: OutputName): Sink {
  const descriptor = DESCRIPTORS[name];
  const kind = kindOf(descriptor);
  if (kind === 'terminal') return sinkOfStream(process[name]);
  const own = kind === 'pipe' ? openPipeAnew(descriptor, 'write') : undefined;
  if (own !== undefined) return sinkOfStream(new Socket({ fd: own, readable: false, writable: true }));
  return (bytes) => writeAll(descriptor, bytes);
}

function sinkOfStream(stream: Writable): Sink {
  // The callback of each write gets its error.
  stream.on('error', () => {});
  return (bytes) =>
    new Promise((resolve, reject) => {
      stream.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
}

async function writeAll(descriptor: number, bytes: Uint8Array): Promise<void> {
  blockedWrites += 1;
  try {
    for (let at = 0; at < bytes.length; ) {
      const written = await writeSome(descriptor, bytes, at);
      if (written === 0) await delay(RETRY_MS);
      at += written;
    }
  } finally {
    blockedWrites -= 1;
  }
}

function writeSome(descriptor: number, bytes: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, at, bytes.length - at, null, (error, written) => {
      if (error === null) resolve(written);
      else if (error.code === 'EAGAIN') resolve(0);
      else reject(error);
    });
  });
}

function writeNow(name: OutputName, text: string): void {
  const bytes = Buffer.from(text);
  if (bytes.length > 0) assertOpen(name);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(DESCRIPTORS[name], bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw outputFailure(name, error);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

function outputFailure(name: OutputName, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const cause = error as NodeJS.ErrnoException;
  return cause.code === 'EPIPE' ? new ReaderGoneError(name, { cause }) : new OutputError(name, { cause });
}
