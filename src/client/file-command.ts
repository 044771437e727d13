/** One command that reads or writes files of a machine. */
import type { ExecutionHandle } from './execution-handle.ts';
import { ExecplaneError } from './http/errors.ts';
import type { MachineClient } from './machine-client.ts';
import { readAhead } from './read-ahead.ts';
import { PIECE_BYTES, StdinClosedError } from './stdin-stream.ts';

/** A file operation that the machine could not carry out. */
export class FileError extends ExecplaneError {
  override readonly name = 'FileError';
  readonly path: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
  }
}

export interface FileOptions {
  /** Run the operation as this user, if the machine allows it. */
  user?: string;
  /** Aborting it ends the command on the machine; the operation then rejects with the reason. */
  signal?: AbortSignal;
}

export type Bytes = Uint8Array<ArrayBuffer>;

interface Script {
  /** For `sh -c`; its `$1` is the path. */
  script: string;
  path: string;
  /** The arguments from `$2` on. */
  args?: readonly string[];
  stdin?: 'open' | 'none';
}

export class FileCommand {
  readonly #path: string;
  readonly #handle: ExecutionHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #errors: Promise<Bytes>;
  /** Aborts when the consumer stops reading its output. */
  readonly #left = new AbortController();
  #cancelled: Promise<unknown> | undefined;

  private constructor(path: string, handle: ExecutionHandle, signal: AbortSignal | undefined) {
    this.#path = path;
    this.#handle = handle;
    this.#signal = signal;
    this.#errors = concat(iterate(handle.stderr, this.#left.signal));
    this.#errors.catch(() => {});
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted) this.#abort();
  }

  static async start(
    machine: MachineClient,
    { script, path, args = [], stdin = 'none' }: Script,
    { signal, ...options }: FileOptions,
  ): Promise<FileCommand> {
    const command = ['sh', '-c', script, 'sh', path, ...args];
    const handle = await machine.start(command, { ...options, stdin, output: 'stream', signal });
    return new FileCommand(path, handle, signal);
  }

  /** Yields its output, piece by piece. A consumer that leaves early ends the command. */
  async *output(): AsyncGenerator<Bytes> {
    let isRead = false;
    try {
      yield* iterate(this.#handle.stdout, this.#left.signal);
      isRead = true;
    } finally {
      if (!isRead) this.#abort();
      await this.#cancelled;
    }
  }

  /** Sends `data` as its stdin. Returns the number of bytes. If the command stops reading, its end contains the reason. */
  async feed(data: AsyncIterable<Uint8Array>): Promise<number> {
    const writer = this.#handle.stdin.getWriter();
    const aborted = (): void => void writer.abort().catch(() => {});
    this.#signal?.addEventListener('abort', aborted, { once: true });
    let size = 0;
    try {
      for await (const piece of readAhead(data, PIECE_BYTES)) {
        await writer.write(piece);
        size += piece.length;
      }
      await writer.close();
    } catch (error) {
      if (!(error instanceof StdinClosedError)) {
        await writer.abort(error).catch(() => {});
        this.#abort();
        await this.#cancelled;
        this.#signal?.throwIfAborted();
        throw error;
      }
    } finally {
      this.#signal?.removeEventListener('abort', aborted);
    }
    return size;
  }

  /** Waits for its end. Throws FileError unless it succeeded. */
  async succeeded(): Promise<void> {
    const { status, errorMessage, exitCode } = await this.#handle.result;
    this.#signal?.removeEventListener('abort', this.#abort);
    if (status === 'succeeded') return;
    this.#signal?.throwIfAborted();
    const message = new TextDecoder().decode(await this.#errors).trim();
    const reason = exitCode === undefined || message === '' ? (errorMessage ?? status) : reasonOf(message);
    throw new FileError(this.#path, reason);
  }

  readonly #abort = (): void => {
    this.#left.abort();
    // If the server cannot be reached, nothing more can be done.
    this.#cancelled ??= this.#handle.cancel().catch(() => {});
  };
}

/** Yields the pieces of a stream; not every browser can iterate over one. Ends early when `signal` aborts. */
async function* iterate(stream: ReadableStream<Bytes>, signal: AbortSignal): AsyncGenerator<Bytes> {
  const reader = stream.getReader();
  signal.addEventListener('abort', () => void reader.cancel().catch(() => {}), { once: true });
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Joins all pieces. */
export async function concat(pieces: AsyncIterable<Bytes>): Promise<Bytes> {
  const all: Bytes[] = [];
  for await (const piece of pieces) all.push(piece);
  const whole = new Uint8Array(all.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of all) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Returns the reason in a message such as `cat: /etc/x: No such file or directory`, or the name of a missing tool. */
function reasonOf(message: string): string {
  const last = message.split('\n').at(-1) ?? message;
  const missing = /(\S+): (?:command )?not found$/.exec(last)?.[1];
  return missing === undefined ? (last.split(': ').at(-1) ?? last) : `the machine has no ${missing}`;
}
