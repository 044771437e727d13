/** Opens the configured store: the SQLite file of the data directory, or PostgreSQL. */
import { join } from 'node:path';
import { ConfigError } from '../node/config-error.ts';
import { errorCode } from '../node/error-code.ts';
import { openSqliteStore, type SqliteStoreOptions } from '../store/sqlite/store.ts';
import type { Store } from '../store/store.ts';
import type { ServerConfig } from './config.ts';

export interface OpenStoreOptions extends Required<Pick<SqliteStoreOptions, 'onCommit' | 'onMachine'>> {
  version: string;
  /** Identifies the secret key. */
  fingerprint: Buffer;
}

const UNUSABLE_DATABASE = /^(SQLITE_(NOTADB|CORRUPT|CANTOPEN)|EISDIR|ENOTDIR|EACCES|EROFS)/;

/** Opens the store. Rejects with ConfigError if the database cannot be reached, or belongs to servers with another secret key. */
export async function openStore(config: ServerConfig, options: OpenStoreOptions): Promise<Store> {
  const { onCommit, onMachine, version, fingerprint } = options;
  const { databaseUrl: url } = config;
  if (url === undefined) return openFile(config.dataDir, { onCommit, onMachine });
  // Loaded only by servers that use it.
  const { openPostgresStore } = await import('../store/postgres/store.ts');
  const store = await openPostgresStore({ url, version, onCommit, onMachine }).catch((cause: Error) => {
    throw new ConfigError(`EXECPLANE_DATABASE_URL: ${cause.message}`, { cause });
  });
  if ((await store.cluster?.claimKey({ fingerprint })) !== false) return store;
  await store.close();
  throw new ConfigError(
    'EXECPLANE_SECRET_KEY_FILE: this database was made with another secret key: use a copy of that key',
  );
}

/** Opens the SQLite file. Throws ConfigError if it is damaged, or is not a database of Execplane. */
function openFile(dataDir: string, options: Pick<SqliteStoreOptions, 'onCommit' | 'onMachine'>): Store {
  const path = join(dataDir, 'execplane.db');
  try {
    return openSqliteStore({ path, ...options });
  } catch (cause) {
    if (!UNUSABLE_DATABASE.test(errorCode(cause) ?? '')) throw cause;
    throw new ConfigError(
      `EXECPLANE_DATA_DIR: ${path} cannot be used: ${(cause as Error).message}. Restore a backup with "execplane restore --force FILE", or name another directory.`,
      { cause },
    );
  }
}
