/** Opens the SQLite store of a test. */
import { existsSync } from 'node:fs';
import { openSqliteStore, type SqliteStoreOptions } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/store/store.ts';
import { placeNewDatabase } from './new-database.ts';

/** Opens the store of a file, which is a new database if it is missing. */
export function openTestStore(options: SqliteStoreOptions): Store {
  if (!existsSync(options.path)) placeNewDatabase(options.path);
  return openSqliteStore(options);
}
