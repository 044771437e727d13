import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase } from '../../../../src/store/sqlite/file/database.ts';

/** SQLite's value for FULL: in WAL mode the log is flushed to the disk at each commit, not only at checkpoints. */
const FULL = 2;

test('a commit is flushed to the disk before it is answered, so that a loss of power right after loses nothing (fault 10)', () => {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-durability-'));
  const database = openDatabase(join(dir, 'execplane.db'));
  try {
    expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(database.pragma('synchronous', { simple: true })).toBe(FULL);
  } finally {
    database.close();
    rmSync(dir, { recursive: true });
  }
});
