/** Files of a machine, moved as stdin and output of commands, with the permissions of the user that these run as. */
import { ExecplaneError } from './http/errors.ts';
import { LIST, MOVE, READ, REMOVE, STAT, WRITE } from './file-scripts.ts';
import type { MachineClient } from './machine-client.ts';
import { StdinClosedError } from './stdin-stream.ts';

/** A file operation that the machine could not carry out. */
export class FileError extends ExecplaneError {
  override readonly name = 'FileError';
  readonly path: string;

  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
    this.path = path;
  }
}

export interface FileStat {
  name: string;
  type: 'file' | 'directory' | 'symlink' | 'other';
  size: number;
  /** Permission bits, such as 0o644. */
  mode: number;
  /** Last change of the content, ms since the epoch. */
  modifiedAt: number;
}

export interface FileOptions {
  /** Run the operation as this user, if the machine allows it. */
  user?: string;
}

export interface ReadOptions extends FileOptions {
  /** Offset of the first byte. Default: 0. */
  offset?: number;
  /** The most bytes to read. Default: all. */
  length?: number;
}

export interface WriteOptions extends FileOptions {
  /** Permission bits. Default: those of the replaced file, else what the user's umask leaves. */
  mode?: number;
  /** Called when everything is sent. Returns the SHA-256 in hexadecimal that the file must have; otherwise it stays unchanged. */
  sha256?: () => string;
}

type Bytes = Uint8Array<ArrayBuffer>;

export class Files {
  readonly #machine: MachineClient;

  constructor(machine: MachineClient) {
    this.#machine = machine;
  }

  /** Returns the content of a file that fits into memory. */
  async read(path: string, options: ReadOptions = {}): Promise<Bytes> {
    return concat(await collect(this.stream(path, options)));
  }

  /** Yields the content of a file, piece by piece. */
  async *stream(path: string, { offset = 0, length, ...options }: ReadOptions = {}): AsyncGenerator<Bytes> {
    const part = [String(offset + 1), length === undefined ? '' : String(length)];
    const { handle, failure } = await this.#start(READ, [path, ...part], { ...options, stdin: 'none' });
    yield* iterate(handle.stdout);
    await failure(path);
  }

  /** Writes a file under a temporary name, checks it, then renames it, so that no reader sees half of it. */
  async write(
    path: string,
    data: string | Uint8Array | AsyncIterable<Uint8Array>,
    { mode, sha256, ...options }: WriteOptions = {},
  ): Promise<void> {
    const mark = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, '0'));
    const args = [path, mark.join(''), mode === undefined ? '' : mode.toString(8)];
    const { handle, failure } = await this.#start(WRITE, args, { ...options, stdin: 'open' });
    const printed = collect(iterate(handle.stdout));
    const written = await this.#feed(handle.stdin, data);
    const [size = '', sum = '', ...rest] = new TextDecoder().decode(concat(await printed)).split(' ');
    await failure(path);
    const temporary = rest.join(' ').replace(/\n$/, '');
    const damage = Number(size) === written ? sha256 !== undefined && sha256() !== sum : true;
    if (damage) {
      await this.#run(REMOVE, [temporary], path, options);
      throw new FileError(path, 'the machine received other bytes than were sent; the file is unchanged');
    }
    await this.#run(MOVE, [temporary], path, options);
  }

  /** Returns the entries of a directory, hidden files too, in no particular order. */
  async list(path: string, options: FileOptions = {}): Promise<FileStat[]> {
    const text = await this.#run(LIST, [path], path, options);
    return text
      .split('\n\0')
      .filter((entry) => entry !== '')
      .map((entry) => statOf(entry));
  }

  /** Returns the status of a file. Does not follow a symbolic link. */
  async stat(path: string, options: FileOptions = {}): Promise<FileStat> {
    return statOf((await this.#run(STAT, [path], path, options)).replace(/\n$/, ''));
  }

  /** Removes a file, or a directory with its contents. */
  async remove(path: string, options: FileOptions = {}): Promise<void> {
    await this.#run(REMOVE, [path], path, options);
  }

  async #run(script: string, args: readonly string[], path: string, options: FileOptions): Promise<string> {
    const { handle, failure } = await this.#start(script, args, { ...options, stdin: 'none' });
    const bytes = concat(await collect(iterate(handle.stdout)));
    await failure(path);
    return new TextDecoder().decode(bytes);
  }

  async #start(script: string, args: readonly string[], options: FileOptions & { stdin: 'open' | 'none' }) {
    const command = ['sh', '-c', script, 'sh', ...args];
    const handle = await this.#machine.start(command, { ...options, output: 'stream' });
    const errors = collect(iterate(handle.stderr));
    errors.catch(() => {});
    /** Throws unless the command succeeded. */
    const failure = async (path: string): Promise<void> => {
      const { status, errorMessage, exitCode } = await handle.result;
      if (status === 'succeeded') return;
      const said = new TextDecoder().decode(concat(await errors)).trim();
      const reason = exitCode === undefined || said === '' ? (errorMessage ?? status) : reasonOf(said);
      throw new FileError(path, reason);
    };
    return { handle, failure };
  }

  /** Returns the number of bytes. A command that stopped reading gives the reason by its own end. */
  async #feed(
    stdin: WritableStream<Uint8Array>,
    data: string | Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<number> {
    const writer = stdin.getWriter();
    let size = 0;
    try {
      for await (const piece of piecesOf(data)) {
        await writer.write(piece);
        size += piece.length;
      }
      await writer.close();
    } catch (error) {
      if (!(error instanceof StdinClosedError)) {
        await writer.abort(error).catch(() => {});
        throw error;
      }
    }
    return size;
  }
}

async function* piecesOf(data: string | Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof data === 'string') yield new TextEncoder().encode(data);
  else if (data instanceof Uint8Array) yield data;
  else yield* data;
}

/** Not every browser can iterate over a stream. */
async function* iterate(stream: ReadableStream<Bytes>): AsyncGenerator<Bytes> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function collect(pieces: AsyncIterable<Bytes>): Promise<Bytes[]> {
  const all: Bytes[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

function concat(pieces: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Parses `MODE SIZE SECONDS NAME`; the mode is st_mode(2) in hexadecimal. */
function statOf(line: string): FileStat {
  const [, mode = '', size = '', seconds = '', name = ''] = /^([0-9a-f]+) (\d+) (-?\d+) (.*)$/s.exec(line) ?? [];
  const bits = Number.parseInt(mode, 16);
  return {
    name: name.replace(/\/+$/, '').split('/').at(-1) ?? '',
    type: TYPES[bits & 0xf000] ?? 'other',
    size: Number(size),
    mode: bits & 0o7777,
    modifiedAt: Number(seconds) * 1000,
  };
}

const TYPES: Record<number, FileStat['type']> = { 16384: 'directory', 32768: 'file', 40960: 'symlink' };

/** `cat: /etc/x: No such file or directory` → its last part. Names a missing tool. */
function reasonOf(said: string): string {
  const last = said.split('\n').at(-1) ?? said;
  const missing = /(\S+): (?:command )?not found$/.exec(last)?.[1];
  return missing === undefined ? (last.split(': ').at(-1) ?? last) : `the machine has no ${missing}`;
}
