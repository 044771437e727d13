/** Files with secrets in them: written with mode 0600, and refused if other users may read them. */
import { readFileSync, statSync } from 'node:fs';
import { type Guard, parseJson } from '../core/json.ts';
import { replaceFile } from './atomic-file.ts';
import { ConfigError } from './config-error.ts';
import { errorCode } from './error-code.ts';

/** Mode bits of everybody but the owner. */
export const OTHER_USERS = 0o077;
/** The same, but a group may read: private keys of certificates are often shared through a group (`ssl-cert`). */
export const OTHERS_THAN_READING_GROUP = 0o037;

/** Writes JSON to a file of mode 0600, whole or not at all. */
export function writePrivateJson(path: string, value: unknown): void {
  replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Returns the parsed content of a private file. Undefined if there is none. Throws ConfigError if others may read it, or it is damaged.
 */
export function readPrivateJson<T>(path: string, guard: Guard<T>): T | undefined {
  let text: string;
  try {
    refuseOpenFile(path);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const value = parseJson(text);
  if (guard(value)) return value;
  throw new ConfigError(
    `${path} is damaged: ${value === undefined ? 'it is not JSON' : 'fields are missing or malformed'}. Restore it from a backup, or remove it.`,
  );
}

/** Throws ConfigError if a mode bit of `forbidden` is set on `path`: others may know a secret that they could read. */
export function refuseOpenFile(path: string, forbidden = OTHER_USERS, closed = '0600'): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if (process.platform === 'win32' || (mode & forbidden) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new ConfigError(`${path} is open to other users (mode ${shown}): close it with "chmod ${closed} ${path}".`);
}
