/** Classifies failures of SQLite: errors of the disk or the file, and faults of this program. */
import Sqlite from 'better-sqlite3';
import { StoreUnavailableError } from '../../store.ts';

/** Primary result codes (sqlite.org/rescode.html). An extended code starts with its primary one. */
const ENVIRONMENTAL = [
  'FULL',
  'IOERR',
  'READONLY',
  'BUSY',
  'LOCKED',
  'CORRUPT',
  'NOTADB',
  'CANTOPEN',
  'NOMEM',
  'PERM',
  'PROTOCOL',
  'INTERRUPT',
].map((name) => new RegExp(`^SQLITE_${name}(_|$)`));

/** Returns `error` for callers of the store: StoreUnavailableError if trying again can help, else the error itself. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Sqlite.SqliteError)) return error;
  const { code } = error;
  if (!ENVIRONMENTAL.some((pattern) => pattern.test(code))) return error;
  return new StoreUnavailableError(`the database is unavailable (${code})`, { cause: error });
}
