/** Stdin of any kind: yields every byte of it, or throws. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, read } from 'node:fs';
import { Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { getSystemErrorMessage } from 'node:util';
import { CliError } from '../cli-error.ts';
import { kindOf, openPipeAnew, wasClosed } from './descriptor.ts';

const STDIN = 0;
const PIECE_BYTES = 262_144;
/** Device numbers of /dev/null (null(4)): major 1, minor 3. */
const NULL_DEVICE = 0x103;

/** Whether stdin may have data. /dev/null, with which Node also replaces a closed stdin, has none. */
export function hasStdin(): boolean {
  const stat = fstatSync(STDIN);
  return !stat.isCharacterDevice() || stat.rdev !== NULL_DEVICE;
}

/** Returns the size of stdin in bytes, if it is a file. */
export function stdinSize(): number | undefined {
  const stat = fstatSync(STDIN);
  return stat.isFile() ? stat.size : undefined;
}

/** Yields the bytes of stdin as they arrive. Ends early when `signal` aborts. Throws CliError if stdin cannot be read. */
export async function* readStdin(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (wasClosed('stdin')) throw new CliError('stdin cannot be read: it is closed.');
  const kind = kindOf(STDIN);
  try {
    if (kind === 'file') yield* readFile(signal);
    else yield* readStream(kind === 'terminal' ? process.stdin : openWaiting(kind, signal), signal);
  } catch (cause) {
    const { errno, message } = cause as NodeJS.ErrnoException;
    const reason = errno === undefined ? message : getSystemErrorMessage(errno);
    throw new CliError(`stdin cannot be read: ${reason}.`, { cause });
  }
}

async function* readFile(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  while (!signal.aborted) {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const length = await new Promise<number>((resolve, reject) => {
      read(STDIN, piece, 0, piece.length, null, (error, count) => (error === null ? resolve(count) : reject(error)));
    });
    if (length === 0) return;
    yield piece.subarray(0, length);
  }
}

async function* readStream(input: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const stop = (): void => void input.destroy();
  signal.addEventListener('abort', stop);
  try {
    if (!signal.aborted) yield* input as AsyncIterable<Buffer>;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    input.destroy();
  }
}

function openWaiting(kind: 'pipe' | 'socket', signal: AbortSignal): Readable {
  const own = kind === 'pipe' ? openPipeAnew(STDIN, 'read') : undefined;
  return own === undefined ? readByCat(signal) : new Socket({ fd: own, readable: true, writable: false });
}

/**
 * Sockets and named pipes cannot be opened again. Making them non-blocking would affect every process, and a blocking read in this
 * process would delay its exit: a separate process reads them, and is ended with this one.
 */
function readByCat(signal: AbortSignal): Readable {
  const cat = spawn('cat', [], { stdio: [STDIN, 'pipe', 'inherit'] });
  const output = new PassThrough();
  cat.stdout?.pipe(output);
  const end = (): void => void cat.kill('SIGKILL');
  process.once('exit', end);
  signal.addEventListener('abort', end);
  void once(cat, 'close')
    .catch((error: Error) => output.destroy(error))
    .finally(() => {
      process.off('exit', end);
      signal.removeEventListener('abort', end);
    });
  return output;
}
