/** A database with an earlier schema, as earlier builds made it. */
import { readdirSync, readFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { openSqliteStore } from '../../../../src/store/sqlite/store.ts';
import { useDatabasePath } from '../place.ts';

const MIGRATIONS = new URL('../../../../migrations/sqlite/', import.meta.url);

/** A machine, and an execution that has ended and printed 64 KiB. */
const ROWS = `
  INSERT INTO machines (machine_id, created_at, phase, last_transition_at, last_progress_at) VALUES ('dm-one', 1, 'sleeping', 1, 1);
  INSERT INTO executions (execution_id, machine, status, created_at, expires_at, completed_at, last_sequence, last_event_at, stdout_kept)
    VALUES ('a', 1, 'succeeded', 1, 9, 3, 3, 3, 65536);
  INSERT INTO requests (execution, command, env_keys, stdin_mode, created_by) VALUES (1, '["true"]', '', 'none', 'admin');
  INSERT INTO chunks (chunk, bytes) VALUES (1, zeroblob(65536));
  INSERT INTO events (execution, sequence, at, type, stream_offset, chunk, status) VALUES
    (1, 1, 1, 'lifecycle', NULL, NULL, 'queued'), (1, 2, 2, 'stdout', 0, 1, NULL), (1, 3, 3, 'lifecycle', NULL, NULL, 'succeeded');`;

/** `hasRun`: whether the database has run the migration of this number. */
function makeDatabase(path: string, hasRun: (version: number) => boolean, rows = ROWS): void {
  const db = new Sqlite(path);
  db.unsafeMode(true);
  db.exec('CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT');
  for (const name of readdirSync(MIGRATIONS).sort()) {
    const version = Number(name.slice(0, 4));
    if (!hasRun(version)) continue;
    db.exec(readFileSync(new URL(name, MIGRATIONS), 'utf8'));
    db.prepare('INSERT INTO schema_migrations VALUES (?, 0)').run(version);
  }
  db.exec(rows);
  db.close();
}

describe('a database of schema 2', () => {
  const path = useDatabasePath();

  it('keeps its log, deletes it when it is due, and ends its maintenance although the file cannot shrink', async () => {
    makeDatabase(path(), (version) => version <= 2);
    const store = openSqliteStore({ path: path() });
    const log = () => store.listEvents({ executionId: 'a', afterSequence: 0, limit: 9, maxBytes: 2 ** 20 });
    expect(await log()).toMatchObject([{ status: 'queued' }, { type: 'stdout' }, { status: 'succeeded' }]);
    expect(await store.deleteFinished({ before: 9, limit: 9 })).toBe(1);
    // Files of that build cannot shrink. The maintenance must still finish.
    while (await store.maintain({ maxBytes: 1 }));
    expect(await log()).toEqual([]);
    await store.close();
    const db = new Sqlite(path(), { readonly: true });
    expect(db.pragma('freelist_count', { simple: true })).toBeGreaterThanOrEqual(65_536 / 8192);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(db.pragma('foreign_key_check')).toEqual([]);
    for (const table of ['events', 'chunks', 'pending_purge']) {
      expect(db.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), table).toBe(0);
    }
    db.close();
  });
});

describe('a database of schema 3', () => {
  const path = useDatabasePath();

  it('has the present codes for timeouts, and continues waiting executions', async () => {
    makeDatabase(path(), (version) => version <= 3);
    const db = new Sqlite(path());
    db.exec(`
      UPDATE executions SET status = 'failed', error_code = 'timeout' WHERE execution = 1;
      UPDATE events SET status = 'failed', error_code = 'timeout' WHERE sequence = 3;
      INSERT INTO executions (execution_id, machine, status, created_at, expires_at, completed_at, error_code, last_sequence, last_event_at)
        VALUES ('late', 1, 'expired', 1, 9, 9, 'expired', 2, 9);
      INSERT INTO requests (execution, command, env_keys, stdin_mode, created_by) VALUES (2, '["true"]', '', 'none', 'admin');
      INSERT INTO executions (execution_id, machine, status, created_at, expires_at, last_sequence, last_event_at)
        VALUES ('waits', 1, 'wake_in_progress', 1, 9999, 1, 1);
      INSERT INTO requests (execution, command, env_keys, stdin_mode, created_by) VALUES (3, '["true"]', '', 'none', 'admin');
      UPDATE machines SET waiting = 1;`);
    db.close();
    const store = openSqliteStore({ path: path(), now: 20 });
    expect(await store.nextExpiry()).toBe(9999);
    const get = (executionId: string) => store.getExecution({ machineId: 'dm-one', executionId });
    expect(await get('a')).toMatchObject({ status: 'expired', errorCode: 'execution_timed_out' });
    expect(await get('late')).toMatchObject({ status: 'expired', errorCode: 'start_timed_out' });
    const log = await store.listEvents({ executionId: 'a', afterSequence: 2, limit: 9, maxBytes: 99 });
    expect(log).toMatchObject([{ status: 'expired', errorCode: 'execution_timed_out' }]);
    const facts = { vcpu: 1, memory_mib: 1, storage_gib: 1 };
    const agent = { machineId: 'dm-one', runnerInstance: 'r', bootId: 'b', facts, now: 30 };
    const connected = await store.machineConnected(agent);
    const epoch = connected.outcome === 'applied' ? connected.epoch : 0;
    expect(await store.wakeWaiting({ machineId: 'dm-one', epoch, limit: 9, now: 31 })).toMatchObject({
      woken: [{ executionId: 'waits' }],
    });
    expect(await store.claimQueued({ machineId: 'dm-one', epoch, limit: 9, now: 32 })).toMatchObject({
      dispatches: [{ execution: { executionId: 'waits', dispatchNumber: 1 } }],
    });
    await store.close();
  });
});

describe('a database that had later migrations before the one that renames its keys', () => {
  const path = useDatabasePath();

  it('keeps its rows, and has the schema of a new one', async () => {
    makeDatabase(path(), (version) => version < 60 || version === 85 || version === 90);
    const store = openSqliteStore({ path: path() });
    expect(await store.getExecution({ machineId: 'dm-one', executionId: 'a' })).toMatchObject({ status: 'succeeded' });
    const output = { executionId: 'a', stream: 'stdout', offset: 0, maxBytes: 2 ** 20 } as const;
    expect((await store.readStream(output)).length).toBe(65_536);
    await store.close();
    const fresh = `${path()}-fresh`;
    await openSqliteStore({ path: fresh }).close();
    expect(columnsOf(path())).toEqual(columnsOf(fresh));
  });
});

/** Tables and indexes with their columns, sorted: columns that were added later come last in the schema. */
function columnsOf(path: string): string[] {
  const db = new Sqlite(path, { readonly: true });
  const columns = db
    .prepare<[], string>(
      `SELECT s.name || ' ' || c.name FROM sqlite_schema s JOIN pragma_table_xinfo(s.name) c WHERE s.type = 'table'
       UNION ALL SELECT s.name || ' ' || c.name FROM sqlite_schema s JOIN pragma_index_info(s.name) c WHERE s.type = 'index' ORDER BY 1`,
    )
    .pluck()
    .all();
  db.close();
  return columns;
}

describe('a database of schema 122', () => {
  const path = useDatabasePath();
  /** A batch of which one machine has failed, one has an execution that runs, and one has none. */
  const BATCH = `
    INSERT INTO machines (public_id, created_at, phase, last_transition_at, last_progress_at)
      VALUES ('dm-a', 1, 'sleeping', 1, 1), ('dm-b', 1, 'sleeping', 1, 1), ('dm-c', 1, 'sleeping', 1, 1);
    INSERT INTO executions (public_id, machine_id, status, created_at, expires_at, last_sequence, last_event_at)
      VALUES ('exec-1', 2, 'wake_in_progress', 1, 9, 1, 1);
    INSERT INTO requests (execution_id, command, env_keys, stdin_mode, created_by, queued_bytes) VALUES (1, '["true"]', '[]', 'none', 'admin', 0);
    INSERT INTO batches (public_id, status, max_concurrency, created_by, created_at) VALUES ('batch-1', 'running', 2, 'admin', 1);
    INSERT INTO batch_members (batch_id, position, machine_id, execution_id, outcome)
      VALUES (1, 0, 1, NULL, 'failed'), (1, 1, 2, 1, NULL), (1, 2, 3, NULL, NULL);`;

  it('continues its batch', async () => {
    makeDatabase(path(), (version) => version <= 122, BATCH);
    const store = openSqliteStore({ path: path() });
    const batch = async () => (await store.getBatch({ batchId: 'batch-1' }))?.counts;
    expect(await batch()).toEqual({ failed: 1, wake_in_progress: 1, pending: 1 });
    const step = await store.advanceBatch({ batchId: 'batch-1', among: [], now: 5 });
    expect(step).toMatchObject({ batch: { status: 'running' }, next: [{ position: 2, machineId: 'dm-c' }] });
    expect(await batch()).toEqual({ failed: 1, wake_in_progress: 1, pending: 1 });
    await store.close();
  });
});
