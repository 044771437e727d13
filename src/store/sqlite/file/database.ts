/** Opens the database file and sets its modes and pragmas. */
import { chmodSync, closeSync, openSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { joinLogWrites } from './log-writes.ts';

export type Database = Sqlite.Database;
export type Statement<Parameters extends unknown[]> = Sqlite.Statement<Parameters>;

/** Time for which another process may keep the file locked (a backup, a shell) before a write counts as refused, ms. */
export const BUSY_TIMEOUT_MS = 2000;
/**
 * Larger pages make 64 KiB chunks cheaper and small commits dearer. Measured in tmpfs on 2 shared cores, per CPU second: with pages of
 * 4 KiB 220 MB of chunks and 12,000 short executions (created, dispatched, started, ended), of 8 KiB 270 MB and 11,000, of 16 KiB
 * 360 MB and 9,500. On a disk each byte is written twice (log, then file), which is the limit for chunks: bench/store.ts.
 */
const PAGE_BYTES = 4096;
const CACHE_KIB = 32 * 1024;
/** At this size the WAL is written back into the file; after a burst it is cut back to this size. Bounds the work of a restart. */
const WAL_BYTES = 16 * 1024 * 1024;

/** Opens the file for its one owner, and creates it (0600) if it is missing. */
export function openDatabase(path: string): Database {
  // SQLite gives -wal and -shm the mode of the file itself.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
  joinLogWrites();
  const db = new Sqlite(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    db.pragma(`page_size = ${PAGE_BYTES}`);
    // Like the page size, this takes effect on an empty file only. Freed pages return to the file system in steps that the store chooses.
    db.pragma('auto_vacuum = INCREMENTAL');
    enterWalMode(db);
    db.pragma('synchronous = FULL');
    db.pragma('secure_delete = ON');
    db.pragma('foreign_keys = ON');
    db.pragma(`cache_size = -${CACHE_KIB}`);
    db.pragma('temp_store = MEMORY');
    db.pragma(`wal_autocheckpoint = ${WAL_BYTES / (db.pragma('page_size', { simple: true }) as number)}`);
    db.pragma(`journal_size_limit = ${WAL_BYTES}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Enters WAL mode. SQLite does not wait for locks in this statement, so it is repeated: two processes may create the file at once. */
function enterWalMode(db: Database): void {
  const deadline = Date.now() + BUSY_TIMEOUT_MS;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      db.pragma('journal_mode = WAL');
      return;
    } catch (error) {
      if (!(error instanceof Sqlite.SqliteError) || !error.code.startsWith('SQLITE_BUSY') || Date.now() > deadline) {
        throw error;
      }
      Atomics.wait(pause, 0, 0, 10);
    }
  }
}
