/** Reads and writes files with secrets: they are written with mode 0600, and refused if other users may read them. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { type Guard, parseJson } from '../core/json.ts';
import { replaceFile } from './atomic-file.ts';
import { ConfigError } from './config-error.ts';

/** Mode bits of all users but the owner. */
export const OTHER_USERS = 0o077;
/** Like OTHER_USERS, but a group may read: private keys of certificates are often shared through a group (`ssl-cert`). */
export const OTHERS_THAN_READING_GROUP = 0o037;

const MAX_BYTES = 1_048_576;

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
    return readRegularFile(path)?.text;
  } catch (cause) {
    throw new ConfigError(`${path} cannot be read: ${(cause as Error).message}.`, { cause });
  }
}

/** Throws ConfigError if a mode bit of `forbidden` is set on `path`: a secret that others could read may be known. */
export function refuseOpenFile(path: string, forbidden = OTHER_USERS, closed = '0600'): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if (process.platform === 'win32' || (mode & forbidden) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new ConfigError(`${path} is open to other users (mode ${shown}): close it with "chmod ${closed} ${path}".`);
}

/** A file cannot be read. `message`: the reason, as a clause of a sentence. */
export class UnreadableFileError extends Error {
  override readonly name = 'UnreadableFileError';
}

export interface RegularFile {
  text: string;
  /** Permission bits. */
  mode: number;
}

/**
 * Reads a regular file of at most 1 MiB, also through links. Undefined if there is none. Throws UnreadableFileError, also for a FIFO, which
 * would block, and a device, which may have no end.
 */
export function readRegularFile(path: string): RegularFile | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code, errno } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new UnreadableFileError(errno === undefined ? String(cause) : getSystemErrorMessage(errno), { cause });
  }
  try {
    return readOpened(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function readOpened(descriptor: number): RegularFile {
  const stat = fstatSync(descriptor);
  if (stat.isDirectory()) throw new UnreadableFileError('it is a directory');
  if (!stat.isFile()) throw new UnreadableFileError('it is not a regular file');
  if (stat.size > MAX_BYTES) throw new UnreadableFileError(`it is larger than ${MAX_BYTES} bytes`);
  const bytes = Buffer.alloc(stat.size);
  return { text: bytes.toString('utf8', 0, readSync(descriptor, bytes)), mode: stat.mode & 0o777 };
}
