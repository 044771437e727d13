/**
 * A backup is one SQLite file: the database as of one moment, and the small files without which it cannot be read. It is made while a
 * server keeps writing, through SQLite's own online copy within one read transaction.
 */
import { closeSync, linkSync, openSync, rmSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { flush } from '../../../node/atomic-file.ts';
import { ConfigError } from '../../../node/config-error.ts';
import { errorCode, errorReason } from '../../../node/error-code.ts';
import type { Database } from '../file/database.ts';
import { appendDigest } from './digest.ts';

/** The backup or restore is not possible. The message names the remedy. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/** A file that is stored beside the database. */
export interface CompanionFile {
  name: string;
  content: Buffer;
}

/** Number of rows of each table. */
export type RowCounts = Readonly<Record<string, number>>;

const TABLES = `
  CREATE TABLE backup (made_at INTEGER NOT NULL, version TEXT NOT NULL, counts TEXT NOT NULL, digest TEXT NOT NULL) STRICT;
  CREATE TABLE backup_files (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;`;
/** Pages copied in one turn of the event loop. */
const PAGES_A_STEP = 4096;

/**
 * Copies the database `source`, which it closes, with `files` into the new file `to` (0600), reopens it to check that it is complete, and adds
 * its digest. Throws BackupError if `to` exists, or if the copy is not correct.
 */
export async function backUpDatabase(p: {
  source: Database;
  to: string;
  files: readonly CompanionFile[];
  /** ms since the epoch. */
  now: number;
  version: string;
}): Promise<RowCounts> {
  const { source } = p;
  const partial = `${p.to}.${process.pid}.partial`;
  try {
    // The first read takes the snapshot that counts and copy share, whatever is written meanwhile.
    source.exec('BEGIN');
    const counts = countRows(source);
    closeSync(openSync(partial, 'wx', 0o600));
    await source.backup(partial, { progress: () => PAGES_A_STEP });
    addCompanions(partial, counts, p);
    verify(partial, counts);
    appendDigest(partial);
    putInPlace(partial, p.to);
    return counts;
  } catch (cause) {
    if (cause instanceof BackupError || cause instanceof ConfigError) throw cause;
    throw new BackupError(`${p.to} cannot be written: ${errorReason(cause)}`, { cause });
  } finally {
    source.close();
    for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${partial}${suffix}`, { force: true });
  }
}

/** Returns the number of rows of every table of the schema, without those of SQLite and of a backup. */
export function countRows(db: Database): RowCounts {
  const names = db
    .prepare<[], string>(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'backup*'`,
    )
    .pluck()
    .all();
  return Object.fromEntries(
    names.map((name) => [name, db.prepare<[], number>(`SELECT count(*) FROM "${name}"`).pluck().get() ?? 0]),
  );
}

/** Throws BackupError, which names `name`, if the database at `path` is damaged or does not have these rows. */
export function verify(path: string, counts: RowCounts, name = path): void {
  const db = openExisting(path);
  try {
    const problem = problemOf(db) ?? missing(countRows(db), counts);
    if (problem !== undefined) throw new BackupError(`${name} is damaged: ${problem}`);
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw new BackupError(`${name} is damaged: ${(cause as Error).message}`, { cause });
  } finally {
    db.close();
  }
}

function problemOf(db: Database): string | undefined {
  const problems = db.prepare<[], string>('PRAGMA integrity_check(3)').pluck().all().join('; ');
  if (problems !== 'ok') return problems;
  const loose = db.prepare('PRAGMA foreign_key_check').get();
  return loose === undefined ? undefined : 'rows refer to rows that are not there';
}

function missing(found: RowCounts, counts: RowCounts): string | undefined {
  const name = Object.keys({ ...counts, ...found }).find((table) => found[table] !== counts[table]);
  return name === undefined ? undefined : `${name} has ${found[name]} rows, not ${counts[name]}`;
}

/**
 * Opens an existing database to read it. Errors name `name`. Throws BackupError, and ConfigError if there is no such file, or a FIFO or a device,
 * whose opening could wait for ever.
 */
export function openExisting(path: string, name = path): Database {
  refuseIrregular(path, name);
  let db: Database | undefined;
  try {
    db = new Sqlite(path, { readonly: true, fileMustExist: true });
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    return db;
  } catch (cause) {
    db?.close();
    throw new BackupError(`${name} cannot be read as a database: ${(cause as Error).message}`, { cause });
  }
}

function refuseIrregular(path: string, name: string): void {
  let found: Stats | undefined;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw new ConfigError(`${name} cannot be read: ${errorReason(cause)}`, { cause });
  }
  if (found === undefined) throw new ConfigError(`${name} does not exist`);
  if (!found.isFile()) throw new ConfigError(`${name} is not a regular file`);
}

/** Adds the companion files and the row counts, and turns the copy into one file without a write-ahead log. */
function addCompanions(
  path: string,
  counts: RowCounts,
  p: { files: readonly CompanionFile[]; now: number; version: string },
): void {
  const db = new Sqlite(path);
  try {
    db.pragma('journal_mode = DELETE');
    db.transaction(() => {
      db.exec(TABLES);
      db.prepare(`INSERT INTO backup (made_at, version, counts, digest) VALUES (?, ?, ?, 'sha256')`).run(
        p.now,
        p.version,
        JSON.stringify(counts),
      );
      const add = db.prepare('INSERT INTO backup_files (name, content) VALUES (?, ?)');
      for (const { name, content } of p.files) add.run(name, content);
    })();
  } finally {
    db.close();
  }
}

/** Gives the complete file its name, once it is on disk. Never replaces another file. */
function putInPlace(partial: string, to: string): void {
  flush(partial);
  try {
    linkSync(partial, to);
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') throw new BackupError(`${to} exists already`, { cause });
    throw cause;
  }
  flush(dirname(to));
}
