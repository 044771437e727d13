/** Checks that files in the data directory are closed to other users. A readable file is refused, because it may have been read. */
import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../node/config-error.ts';
import { errorReason } from '../../node/error-code.ts';
import { assertConfiguredDirectory, makeConfiguredDirectory } from '../../node/files/configured-directory.ts';
import { OTHER_USERS, refuseOpenFile } from '../../node/private-file.ts';

const DATA_DIR = 'EXECPLANE_DATA_DIR';

const FILES = [
  'admin.key',
  'secret.key',
  'webhook.secret',
  'execplane.db',
  'execplane.db-wal',
  'execplane.db-shm',
  'execplane.db.lock',
] as const;

/** Creates the data directory (0700), or checks it and its files. Throws ConfigError with the remedy. */
export function preparePrivateDirectory(dataDir: string): void {
  makeConfiguredDirectory(DATA_DIR, dataDir, 0o700);
  refuseOpenDirectory(dataDir);
  assertConfiguredDirectory(DATA_DIR, dataDir);
}

/** Throws ConfigError if other users may read the data directory or its files. */
export function refuseOpenDirectory(dataDir: string): void {
  naming(DATA_DIR, () => {
    refuseOpenFile(dataDir, OTHER_USERS, '0700');
    for (const name of FILES) refuseOpenFile(refuseIrregular(join(dataDir, name)));
  });
}

/** Returns `path`. Throws ConfigError if it is a directory, a FIFO or a device: opening it fails later, or waits for ever. */
function refuseIrregular(path: string): string {
  let found: Stats | undefined;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw unreadable(path, errorReason(cause), cause);
  }
  if (found === undefined || found.isFile()) return path;
  throw unreadable(path, `it is ${found.isDirectory() ? 'a directory' : 'not a regular file'}`);
}

function unreadable(path: string, reason: string, cause?: unknown): ConfigError {
  return new ConfigError(
    `${path} cannot be read: ${reason}. Remove it, and restore it from a backup if there was one.`,
    {
      cause,
    },
  );
}

/** Runs `check`, and prepends the name of the setting to the message that it throws. */
function naming(setting: string, check: () => void): void {
  try {
    check();
  } catch (cause) {
    throw new ConfigError(`${setting}: ${(cause as Error).message}`, { cause });
  }
}
