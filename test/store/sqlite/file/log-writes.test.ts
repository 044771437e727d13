/** The extension that joins writes to the log: fewer system calls, the same bytes, visible to other connections at once. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Sqlite from 'better-sqlite3';
import { prebuiltPath } from '../../../../src/node/native/prebuilt.ts';
import { joinLogWrites } from '../../../../src/store/sqlite/file/log-writes.ts';

const ROWS = 400;
const ROW_BYTES = 3000;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'execplane-log-writes-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** A database in WAL mode with one table of rows of random bytes. */
function open(synchronous: 'FULL' | 'OFF' = 'FULL'): Sqlite.Database {
  const db = new Sqlite(join(directory, 'log.db'));
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${synchronous}`);
  db.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)');
  return db;
}

/** Adds `count` rows in one transaction, from `first` on. */
function insert(db: Sqlite.Database, first: number, count: number): void {
  const add = db.prepare('INSERT INTO t (id, bytes) VALUES (?, randomblob(?))');
  db.transaction(() => {
    for (let id = first; id < first + count; id++) add.run(id, ROW_BYTES);
  })();
}

/** The number of write calls of this thread so far. */
function writeCalls(): number {
  const [, calls] = /^syscw: (\d+)$/m.exec(readFileSync('/proc/thread-self/io', 'utf8')) ?? [];
  return Number(calls);
}

describe.runIf(existsSync(prebuiltPath('execplane-wal.so')))('with the extension', () => {
  beforeEach(() => expect(joinLogWrites()).toBe(true));

  it('writes the pages of a transaction to the log in one call', () => {
    const db = open();
    insert(db, 0, 1);
    const before = writeCalls();
    insert(db, 1, 20);
    // Without the extension: 2 calls for each of more than 20 pages. A read of the log before can add one.
    expect(writeCalls() - before).toBeLessThanOrEqual(2);
    db.close();
  });

  it.each(['FULL', 'OFF'] as const)("connections see each other's commits at once, with synchronous = %s", (level) => {
    const connections = [open(level), open(level), open(level)];
    const [reader] = connections;
    // Each connection reads the frames of the other before it writes, so its first frame is written directly.
    for (let round = 0; round < 60; round++) {
      const writer = connections[round % connections.length];
      if (writer !== undefined) insert(writer, round, 1 + (round % 2));
      if (round % 2 === 1) writer?.prepare('DELETE FROM t WHERE id > ?').run(round);
      for (const connection of connections)
        expect(connection.prepare('SELECT count(*) FROM t').pluck().get()).toBe(round + 1);
    }
    expect(reader?.pragma('integrity_check', { simple: true })).toBe('ok');
    for (const connection of connections) connection.close();
  });

  it('a transaction larger than the cache, partly rolled back, is whole after the log is read again', () => {
    const db = open();
    db.pragma('cache_size = 10');
    insert(db, 0, 1);
    db.exec('BEGIN');
    db.exec('SAVEPOINT s');
    for (let id = 1; id < ROWS; id++)
      db.prepare('INSERT INTO t (id, bytes) VALUES (?, randomblob(?))').run(id, ROW_BYTES);
    db.exec('ROLLBACK TO s');
    for (let id = 1; id < ROWS; id++)
      db.prepare('INSERT INTO t (id, bytes) VALUES (?, zeroblob(?))').run(id, ROW_BYTES);
    // Pages that are already in the log are changed there, with the checksums of the following pages.
    db.exec(`UPDATE t SET bytes = zeroblob(${ROW_BYTES + 1}) WHERE id % 7 = 1`);
    db.exec('COMMIT');
    // A copy of both files is the state after a crash: the log is recovered from its bytes only.
    const copy = join(directory, 'copy.db');
    db.exec('PRAGMA wal_autocheckpoint = 0');
    for (const suffix of ['', '-wal']) copyFileSync(join(directory, `log.db${suffix}`), `${copy}${suffix}`);
    const recovered = new Sqlite(copy);
    expect(recovered.pragma('integrity_check', { simple: true })).toBe('ok');
    const sizes = recovered.prepare(
      'SELECT length(bytes) AS size, count(*) AS count FROM t WHERE id > 0 GROUP BY size ORDER BY size',
    );
    expect(sizes.all()).toEqual([
      { size: ROW_BYTES, count: 342 },
      { size: ROW_BYTES + 1, count: 57 },
    ]);
    recovered.close();
    db.close();
  });
});

it('does without the extension where there is none', async () => {
  vi.resetModules();
  const fresh = await import('../../../../src/store/sqlite/file/log-writes.ts');
  expect(fresh.joinLogWrites(join(directory, 'missing.so'))).toBe(false);
  const damaged = join(directory, 'execplane-wal.so');
  writeFileSync(damaged, 'not a library');
  vi.resetModules();
  const again = await import('../../../../src/store/sqlite/file/log-writes.ts');
  expect(again.joinLogWrites(damaged)).toBe(false);
});
