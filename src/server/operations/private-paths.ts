/** Checks that files in the data directory are closed to other users. A readable file is refused, because it may have been read. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../node/config-error.ts';
import { errorCode } from '../../node/error-code.ts';
import { OTHER_USERS, OTHERS_THAN_READING_GROUP, refuseOpenFile } from '../../node/private-file.ts';
import { makeDirectory } from '../../node/directory.ts';

const FILES = [
  'admin.key',
  'secret.key',
  'webhook.secret',
  'execplane.db',
  'execplane.db-wal',
  'execplane.db-shm',
] as const;

/** Creates the data directory (0700), or checks it and its files. Throws ConfigError with the remedy. */
export function preparePrivateDirectory(dataDir: string): void {
  try {
    makeDirectory(dataDir, 0o700);
  } catch (cause) {
    const reason = errorCode(cause) === 'EEXIST' ? 'is not a directory' : `cannot be made: ${(cause as Error).message}`;
    throw new ConfigError(`EXECPLANE_DATA_DIR: ${dataDir} ${reason}`, { cause });
  }
  refuseOpenDirectory(dataDir);
}

/** Throws ConfigError if other users may read the data directory or its files. */
export function refuseOpenDirectory(dataDir: string): void {
  naming('EXECPLANE_DATA_DIR', () => {
    refuseOpenFile(dataDir, OTHER_USERS, '0700');
    for (const name of FILES) refuseOpenFile(refuseIrregular(join(dataDir, name)));
  });
}

/** Returns `path`. Throws ConfigError if it is a directory, a FIFO or a device: opening it fails later, or waits for ever. */
function refuseIrregular(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isFile()) return path;
  throw new ConfigError(`${path} cannot be read: it is ${found.isDirectory() ? 'a directory' : 'not a regular file'}.`);
}

/** Throws ConfigError if other users may read the private key of the certificate. */
export function refuseOpenKey(tlsKey: string): void {
  naming('EXECPLANE_TLS_KEY', () => refuseOpenFile(tlsKey, OTHERS_THAN_READING_GROUP));
}

/** Runs `check`, and prepends the name of the setting to the message that it throws. */
function naming(setting: string, check: () => void): void {
  try {
    check();
  } catch (cause) {
    throw new ConfigError(`${setting}: ${(cause as Error).message}`, { cause });
  }
}
