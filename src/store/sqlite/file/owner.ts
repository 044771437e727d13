/**
 * Allows one server per database: a second one would mark the machines of the first as offline. The lock is SQLite's own, on an empty file
 * beside the database; the kernel frees it when the process ends.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { makeDirectory } from '../../../node/directory.ts';

/** Another process has the database open as its server. */
export class DatabaseInUseError extends Error {
  override readonly name = 'DatabaseInUseError';
}

/**
 * Locks the database at `path` for this process, until `close` of the returned object. Creates its directory if it is missing. Waits up to
 * `waitMs` for a server that is stopping. Throws DatabaseInUseError.
 */
export function takeOwnership(path: string, waitMs: number): { close(): void } {
  const lockPath = `${path}.lock`;
  makeDirectory(dirname(path), 0o700);
  closeSync(openSync(lockPath, 'a', 0o600));
  chmodSync(lockPath, 0o600);
  const lock = new Sqlite(lockPath, { timeout: waitMs });
  try {
    // Nothing is ever written: no journal file is needed.
    lock.pragma('journal_mode = MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (!(error instanceof Sqlite.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
    throw new DatabaseInUseError(`${path} is in use by another server`, { cause: error });
  }
}
