/** Which failures of SQLite mean that the disk or the file is in trouble, and not that we are. */
import Sqlite from 'better-sqlite3';
import { StoreUnavailableError } from '../../store.ts';

/** Primary result codes (sqlite.org/rescode.html); an extended code starts with its primary one. */
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

/** `error` as the callers of the store know it: StoreUnavailableError where trying again can help, else itself. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Sqlite.SqliteError)) return error;
  const { code } = error;
  if (!ENVIRONMENTAL.some((pattern) => pattern.test(code))) return error;
  return new StoreUnavailableError(`the database cannot be used now (${code})`, { cause: error });
}
