/** Reads and writes files with secrets: they are written with mode 0600, and refused if other users may read them. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { type Guard, parseJson } from '../core/json.ts';
import { replaceFile } from './atomic-file.ts';
import { ConfigError } from './config-error.ts';
import { errorCode, errorReason } from './error-code.ts';

/** Mode bits of all users but the owner. */
export const OTHER_USERS = 0o077;
/** Like OTHER_USERS, but a group may read: private keys of certificates are often shared through a group (`ssl-cert`). */
export const OTHERS_THAN_READING_GROUP = 0o037;

const MAX_BYTES = 1_048_576;
/** Bytes of one read: more than most of these files have. */
const PIECE_BYTES = 16_384;

/** Writes JSON to a file of mode 0600, whole or not at all. */
export function writePrivateJson(path: string, value: unknown): void {
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Returns the parsed content of a private file. Undefined if there is none. Throws ConfigError if others may read it, or it is damaged.
 */
export function readPrivateJson<T>(path: string, guard: Guard<T>): T | undefined {
  const text = readPrivateText(path);
  if (text === undefined) return undefined;
  refuseOpenFile(path);
  const value = parseJson(text);
  if (guard(value)) return value;
  throw new ConfigError(
    `${path} is damaged: ${value === undefined ? 'it is not JSON' : 'fields are missing or malformed'}. Restore it from a backup, or remove it.`,
  );
}

function readPrivateText(path: string): string | undefined {
  try {
    return readRegularFile(path)?.bytes.toString();
  } catch (cause) {
    throw new ConfigError(`${path} cannot be read: ${errorReason(cause)}.`, { cause });
  }
}

/** Throws ConfigError if a mode bit of `forbidden` is set on `path`: a secret that others could read may be known. */
export function refuseOpenFile(path: string, forbidden = OTHER_USERS, closed = '0600'): void {
  const mode = modeOf(path);
  if (process.platform === 'win32' || (mode & forbidden) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new ConfigError(`${path} is open to other users (mode ${shown}): close it with "chmod ${closed} ${path}".`);
}

/** Returns the mode of the file at `path`, 0 if there is none. Throws ConfigError for a loop of links, and in a directory that is closed. */
function modeOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  } catch (cause) {
    throw new ConfigError(`${path} cannot be read: ${errorReason(cause)}.`, { cause });
  }
}

/** A file cannot be read. `message`: the reason, as a clause of a sentence. */
export class UnreadableFileError extends Error {
  override readonly name = 'UnreadableFileError';
}

export interface RegularFile {
  bytes: Buffer;
  /** Permission bits. */
  mode: number;
}

export interface ReadOptions {
  maxBytes?: number;
  /** Reads a pipe that the shell made, too: `<(command)` is /dev/fd/63. */
  pipes?: boolean;
}

const SHELL_PIPE = /^\/(dev\/stdin|dev\/fd\/\d+|proc\/self\/fd\/\d+)$/;

/**
 * Reads a regular file of at most 1 MiB by default, also through links. Undefined if there is none. Throws UnreadableFileError, also for a
 * FIFO, which would block, and a device, which may have no end.
 */
export function readRegularFile(
  path: string,
  { maxBytes = MAX_BYTES, pipes = false }: ReadOptions = {},
): RegularFile | undefined {
  const blocks = pipes && SHELL_PIPE.test(path);
  let descriptor: number;
  try {
    descriptor = openSync(path, blocks ? constants.O_RDONLY : constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined;
    throw new UnreadableFileError(errorReason(cause), { cause });
  }
  try {
    return readOpened(descriptor, { maxBytes, pipes: blocks });
  } finally {
    closeSync(descriptor);
  }
}

function readOpened(descriptor: number, { maxBytes, pipes }: Required<ReadOptions>): RegularFile {
  const stat = fstatSync(descriptor);
  if (stat.isDirectory()) throw new UnreadableFileError('it is a directory');
  if (!stat.isFile() && !(pipes && stat.isFIFO())) throw new UnreadableFileError('it is not a regular file');
  const bytes = stat.size > maxBytes ? undefined : readUpTo(descriptor, maxBytes);
  if (bytes === undefined) throw new UnreadableFileError(`it is larger than ${maxBytes} bytes`);
  return { bytes, mode: stat.mode & 0o777 };
}

/** Reads to the end. Undefined if there are more than `maxBytes` bytes: files of /proc have no size, and a file may grow. */
function readUpTo(descriptor: number, maxBytes: number): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (let length = 0; length <= maxBytes; ) {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const bytes = readSync(descriptor, piece);
    if (bytes === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, bytes));
    length += bytes;
  }
  return undefined;
}
