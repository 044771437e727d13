/** Keys that a program generates at its first start and stores in a file. */
import { dirname } from 'node:path';
import { createFile } from './atomic-file.ts';
import { ConfigError } from './config-error.ts';
import { errorCode, errorReason } from './error-code.ts';
import { readRegularFile } from './private-file.ts';
import { makeDirectory } from './directory.ts';

export interface KeyFileFormat {
  /** Makes a new key. */
  make: () => string;
  /** The pattern of a key. A file that does not match is refused: an empty key would be valid for anybody. */
  pattern: RegExp;
  /** The pattern in words, for the error. */
  expected: string;
}

/** Returns the key in `path`. A missing file is made with mode 0600 and flushed to disk. Throws ConfigError if the file holds no key. */
export function readOrCreateKeyFile(path: string, { make, pattern, expected }: KeyFileFormat): string {
  makeDirectory(dirname(path), 0o700);
  const key = readIfPresent(path) ?? createKey(path, make());
  if (pattern.test(key)) return key;
  throw new ConfigError(
    `${path} is damaged: it must hold ${expected}. Restore it from a backup, or remove it to have a new key made.`,
  );
}

function readIfPresent(path: string): string | undefined {
  try {
    return readRegularFile(path)?.bytes.toString().trim();
  } catch (error) {
    throw new ConfigError(`${path} cannot be read: ${errorReason(error)}.`, { cause: error });
  }
}

/** Creates the file. If another process creates it at the same time, the key of the first process is used. */
function createKey(path: string, key: string): string {
  try {
    createFile(path, `${key}\n`);
    return key;
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    return readIfPresent(path) ?? '';
  }
}
