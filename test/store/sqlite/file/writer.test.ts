/** Group commit: shared transactions, failing writes, and the state after them. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Database, openDatabase } from '../../../../src/store/sqlite/file/database.ts';
import type { CommitStatistics } from '../../../../src/store/roles/maintenance.ts';
import { Writer } from '../../../../src/store/sqlite/file/writer.ts';
import { StoreUnavailableError } from '../../../../src/store/store.ts';
import { useDatabasePath } from '../place.ts';

describe('Writer', () => {
  const path = useDatabasePath();
  let db: Database;
  let commits: CommitStatistics[];
  let writer: Writer;
  const insert = (value: number) => () => db.prepare('INSERT INTO t (x) VALUES (?)').run(value).changes;
  const values = () => db.prepare<[], number>('SELECT x FROM t ORDER BY x').pluck().all();

  beforeEach(() => {
    db = openDatabase(path());
    db.exec('CREATE TABLE t (x INTEGER PRIMARY KEY, y BLOB)');
    commits = [];
    writer = new Writer(db, { onCommit: (statistics) => commits.push(statistics), onIdle: () => {} });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    db.close();
  });

  it('commits all writes of one turn together, in order', async () => {
    const writes = [3, 1, 2].map((value) => writer.write(insert(value)));
    expect(values()).toEqual([]);
    expect(await Promise.all(writes)).toEqual([1, 1, 1]);
    expect(commits).toEqual([{ writes: 3, durationMs: expect.any(Number) }]);
  });

  it('the writer settles nothing before its COMMIT', async () => {
    await writer.write(insert(1)).then(() => {
      expect(db.inTransaction).toBe(false);
      expect(values()).toEqual([1]);
    });
  });

  it('adds writes that may wait to the next transaction, once half of their time is over', async () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const shared = [1, 2].map((value) => writer.write(insert(value), 0, 60_000));
    await writer.write(insert(3));
    clock.mockReturnValue(29_999);
    await writer.write(insert(4));
    expect(values()).toEqual([3, 4]);
    clock.mockReturnValue(30_000);
    await Promise.all([writer.write(insert(5)), ...shared]);
    expect(commits.map(({ writes }) => writes)).toEqual([1, 1, 3]);
  });

  it('commits a write that may wait by itself if no other comes', async () => {
    await writer.write(insert(1), 0, 1);
    expect(values()).toEqual([1]);
  });

  it('commits waiting writes on closing', async () => {
    const waits = writer.write(insert(1), 0, 60_000);
    await writer.close();
    await waits;
    expect(values()).toEqual([1]);
  });

  it('fails only the faulty write, and keeps nothing of it', async () => {
    const wrong = writer.write(() => {
      insert(2)();
      throw new RangeError('wrong');
    });
    const settled = await Promise.allSettled([writer.write(insert(1)), wrong, writer.write(insert(3))]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(wrong).rejects.toThrow(RangeError);
    expect(values()).toEqual([1, 3]);
  });

  it('limits a transaction in bytes and in writes', async () => {
    await Promise.all([1, 2, 3].map((value) => writer.write(insert(value), 5 * 1024 * 1024)));
    expect(commits.map(({ writes }) => writes)).toEqual([1, 1, 1]);
    commits.length = 0;
    await Promise.all(Array.from({ length: 1500 }, (_, index) => writer.write(insert(100 + index))));
    expect(commits.map(({ writes }) => writes)).toEqual([1024, 476]);
  });

  it('rejects all waiting writes when the file is full, leaves no transaction, and recovers by itself', async () => {
    const pages = db.pragma('page_count', { simple: true }) as number;
    db.pragma(`max_page_count = ${pages + 2}`);
    const large = () => db.prepare('INSERT INTO t (y) VALUES (zeroblob(1000000))').run();
    const settled = await Promise.allSettled([writer.write(insert(1)), writer.write(large), writer.write(insert(3))]);
    for (const outcome of settled) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StoreUnavailableError) });
    }
    expect(db.inTransaction).toBe(false);
    expect(values()).toEqual([]);
    db.pragma('max_page_count = 1000000');
    await writer.write(large);
    expect(values()).toEqual([1]);
  });

  it('rejects writes while another process holds the file, and recovers', async () => {
    const other = openDatabase(path());
    try {
      db.pragma('busy_timeout = 1');
      other.exec('BEGIN IMMEDIATE');
      await expect(writer.write(insert(1))).rejects.toThrow(StoreUnavailableError);
      other.exec('COMMIT');
      await writer.write(insert(2));
      expect(values()).toEqual([2]);
    } finally {
      other.close();
    }
  });

  it('commits earlier writes before it closes, and refuses later ones', async () => {
    const before = writer.write(insert(1));
    const closing = writer.close();
    await expect(writer.write(insert(2))).rejects.toThrow(StoreUnavailableError);
    await closing;
    await before;
    expect(values()).toEqual([1]);
  });
});
