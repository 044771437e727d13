/** Files of a machine, transferred as stdin and output of commands, with the permissions of the commands' user. */
import { type Bytes, concat, FileCommand, FileError, type FileOptions } from './file-command.ts';
import { CONTINUE, LIST, MOVE, READ, REMOVE, STAT, WRITE } from './file-scripts.ts';
import type { MachineClient } from './machine-client.ts';

export interface FileStat {
  name: string;
  type: 'file' | 'directory' | 'symlink' | 'other';
  size: number;
  /** Permission bits, such as 0o644. */
  mode: number;
  /** Last change of the content, ms since the epoch. */
  modifiedAt: number;
}

export interface ReadOptions extends FileOptions {
  /** Offset of the first byte. Default: 0. */
  offset?: number;
  /** Maximum number of bytes to read. Default: all. */
  length?: number;
}

export interface WriteOptions extends FileOptions {
  /** Permission bits. Default: those of the replaced file, or those that the user's umask allows. */
  mode?: number;
  /** Called when everything is sent. Returns the SHA-256 in hexadecimal that the file must have; otherwise it stays unchanged. */
  sha256?: () => string;
}

/** Content that can be sent from any offset on. */
export interface ResumableContent {
  /** Identifies the content: letters and digits, the same at each attempt and never used for other content. */
  key: string;
  /** Yields the content from byte `offset` on. */
  from: (offset: number) => AsyncIterable<Uint8Array>;
}

/** The files of one machine. */
export class Files {
  readonly #machine: MachineClient;

  constructor(machine: MachineClient) {
    this.#machine = machine;
  }

  /** Returns the content of a file that fits into memory. */
  async read(path: string, options: ReadOptions = {}): Promise<Bytes> {
    return concat(this.stream(path, options));
  }

  /** Yields the content of a file, piece by piece. */
  async *stream(path: string, { offset = 0, length, ...options }: ReadOptions = {}): AsyncGenerator<Bytes> {
    const args = [String(offset + 1), length === undefined ? '' : String(length)];
    const command = await FileCommand.start(this.#machine, { script: READ, path, args }, options);
    yield* command.output();
    await command.succeeded();
  }

  /** Writes a file under a temporary name, checks it, then renames it, so that readers never get a partial file. */
  async write(
    path: string,
    data: string | Uint8Array | AsyncIterable<Uint8Array>,
    { mode, sha256, ...options }: WriteOptions = {},
  ): Promise<void> {
    const mark = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, '0'));
    const args = [mark.join(''), modeText(mode)];
    const command = await FileCommand.start(this.#machine, { script: WRITE, path, args, stdin: 'open' }, options);
    const printed = concat(command.output());
    const size = await command.feed(piecesOf(data));
    const written = new TextDecoder().decode(await printed);
    await command.succeeded();
    await this.#put(path, written, { size, sha256 }, options);
  }

  /** Writes a file. If this is interrupted, the next call with the same key continues at the byte where it stopped. */
  async writeResumable(
    path: string,
    { key, from }: ResumableContent,
    { mode, sha256, ...options }: WriteOptions = {},
  ): Promise<void> {
    if (!/^[a-zA-Z0-9]{1,128}$/.test(key)) throw new TypeError('key: 1 to 128 letters and digits');
    const args = [key, modeText(mode)];
    const command = await FileCommand.start(this.#machine, { script: CONTINUE, path, args, stdin: 'open' }, options);
    const [first, rest] = await firstLine(command.output());
    if (first === undefined) {
      await command.succeeded();
      throw new FileError(path, 'it could not be written');
    }
    const printed = concat(rest);
    const sent = await command.feed(from(Number(first)));
    const written = new TextDecoder().decode(await printed);
    await command.succeeded();
    await this.#put(path, written, { size: Number(first) + sent, sha256 }, options);
  }

  /** Returns the entries of a directory, hidden files too, in no particular order. */
  async list(path: string, options: FileOptions = {}): Promise<FileStat[]> {
    const text = await this.#run(LIST, path, options);
    return text
      .split('\n\0')
      .filter((entry) => entry !== '')
      .map((entry) => statOf(entry));
  }

  /** Returns the status of a file. Does not follow a symbolic link. */
  async stat(path: string, options: FileOptions = {}): Promise<FileStat> {
    return statOf((await this.#run(STAT, path, options)).replace(/\n$/, ''));
  }

  /** Removes a file, or a directory with its contents. */
  async remove(path: string, options: FileOptions = {}): Promise<void> {
    await this.#run(REMOVE, path, options);
  }

  /** Moves the file that a script wrote to its path, if its content is that which was sent. `printed`: its `SIZE SHA-256 NAME`. */
  async #put(
    path: string,
    printed: string,
    sent: { size: number; sha256: (() => string) | undefined },
    options: FileOptions,
  ): Promise<void> {
    const [size = '', sum = '', ...rest] = printed.split(' ');
    const temporary = rest.join(' ').replace(/\n$/, '');
    if (Number(size) === sent.size && (sent.sha256 === undefined || sent.sha256() === sum)) {
      await this.#run(MOVE, temporary, options);
      return;
    }
    await this.#run(REMOVE, temporary, options);
    throw new FileError(path, 'the machine received other bytes than were sent; the file is unchanged');
  }

  async #run(script: string, path: string, options: FileOptions): Promise<string> {
    const command = await FileCommand.start(this.#machine, { script, path }, options);
    const bytes = await concat(command.output());
    await command.succeeded();
    return new TextDecoder().decode(bytes);
  }
}

async function* piecesOf(data: string | Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof data === 'string') yield new TextEncoder().encode(data);
  else if (data instanceof Uint8Array) yield data;
  else yield* data;
}

/** Returns the first line of `pieces`, or undefined if they end before it does, and the rest. */
async function firstLine(pieces: AsyncGenerator<Bytes>): Promise<[string | undefined, AsyncGenerator<Bytes>]> {
  let text = '';
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
    text += new TextDecoder().decode(next.value);
    const end = text.indexOf('\n');
    if (end >= 0) return [text.slice(0, end), continued(text.slice(end + 1), pieces)];
  }
  return [undefined, pieces];
}

async function* continued(begin: string, pieces: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
  yield new TextEncoder().encode(begin);
  yield* pieces;
}

function modeText(mode: number | undefined): string {
  return mode === undefined ? '' : mode.toString(8);
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
