/** The database file: its modes, its schema, several processes at once, and the state after a crash. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../../src/store/sqlite/file/database.ts';
import { migrate, SchemaTooNewError } from '../../../src/store/sqlite/file/migrations.ts';
import { DatabaseInUseError } from '../../../src/store/sqlite/file/owner.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { connectMachine, createExecution, useDatabasePath } from './place.ts';

const MIGRATIONS = new URL('../../../migrations/sqlite/', import.meta.url);
const VERSIONS = readdirSync(MIGRATIONS)
  .map((name) => Number(name.slice(0, 4)))
  .sort((a, b) => a - b);
const FIXTURE = new URL('./store-process.ts', import.meta.url).pathname;

describe('the database file', () => {
  const path = useDatabasePath();
  const inspect = <T>(sql: string): T[] => {
    const db = new Sqlite(path(), { readonly: true });
    try {
      return db.prepare<[], T>(sql).pluck().all();
    } finally {
      db.close();
    }
  };

  it('is readable only by its owner, with its log and index, in a directory that is created', async () => {
    const nested = join(dirname(path()), 'data', 'execplane.db');
    const store = openSqliteStore({ path: nested });
    await store.checkWritable();
    expect(statSync(dirname(nested)).mode & 0o777).toBe(0o700);
    for (const suffix of ['', '-wal', '-shm', '.lock']) expect(statSync(nested + suffix).mode & 0o777).toBe(0o600);
    await store.close();
  });

  it('can be created by several processes at once', async () => {
    const processes = Array.from({ length: 3 }, () => spawn(process.execPath, [FIXTURE, 'migrate', path()]));
    const ends = processes.map(async (child) => {
      let text = '';
      child.stderr.on('data', (data: Buffer) => {
        text += data;
      });
      const [code] = await once(child, 'close');
      return `${code} ${text}`;
    });
    await Promise.all(processes.map((child) => once(child.stdout, 'data')));
    for (const child of processes) child.stdin.end();
    expect(await Promise.all(ends)).toEqual(Array.from(processes, () => '0 '));
    expect(inspect('SELECT version FROM schema_migrations')).toEqual(VERSIONS);
  }, 60_000);

  it('can be created by another process just before its own turn', () => {
    const [late, early] = [openDatabase(path()), openDatabase(path())];
    const prepare = late.prepare.bind(late);
    let overtaken = false;
    Object.defineProperty(late, 'prepare', {
      value: (sql: string) => {
        // The process has found no database and is about to claim the version.
        if (sql.startsWith('INSERT') && !overtaken) {
          overtaken = true;
          migrate(early, 0);
        }
        return prepare(sql);
      },
    });
    migrate(late, 0);
    expect(overtaken).toBe(true);
    late.close();
    early.close();
    expect(inspect('SELECT version FROM schema_migrations')).toEqual(VERSIONS);
  });

  it('has one server at a time', async () => {
    const first = openSqliteStore({ path: path() });
    await connectMachine(first);
    expect(() => openSqliteStore({ path: path(), ownershipWaitMs: 1 })).toThrow(DatabaseInUseError);
    expect(await first.getMachine({ machineId: 'dm-one' })).toMatchObject({ phase: 'running' });
    await first.close();
    await openSqliteStore({ path: path(), ownershipWaitMs: 1 }).close();
  });

  it('is refused if a newer version has migrated it', async () => {
    await openSqliteStore({ path: path() }).close();
    const db = new Sqlite(path());
    db.exec('INSERT INTO schema_migrations VALUES (9999, 0)');
    db.close();
    expect(() => openSqliteStore({ path: path() })).toThrow(SchemaTooNewError);
    expect(() => openSqliteStore({ path: path() })).toThrow(/schema 9999/);
  });

  it('keeps everything from one opening to the next, with no machine connected', async () => {
    const first = openSqliteStore({ path: path(), now: 0 });
    await connectMachine(first);
    await createExecution(first, 'a');
    await first.close();
    const second = openSqliteStore({ path: path(), now: 500 });
    expect(await second.getMachine({ machineId: 'dm-one' })).toMatchObject({
      phase: 'sleeping',
      lastTransitionAt: 500,
    });
    expect(await second.getExecution({ machineId: 'dm-one', executionId: 'a' })).toMatchObject({
      dispatchedTo: 'runner',
    });
    // Writes of the connection from before the restart are refused.
    expect(await second.machineDisconnected({ machineId: 'dm-one', epoch: 1, now: 600 })).toBe('stale');
    await second.close();
    // The agent could not reconnect while the server was down. It counts as disconnected from now on.
    const third = openSqliteStore({ path: path(), now: 900 });
    const lost = (awaySince: number) => third.markAbandonedLost({ awaySince, reason: 'away', now: 950, limit: 9 });
    expect(await lost(899)).toEqual([]);
    expect(await lost(900)).toMatchObject([{ executionId: 'a' }]);
    await third.close();
  });

  it('a kill -9 in a burst loses nothing acknowledged', async () => {
    const child = spawn(process.execPath, [FIXTURE, 'burst', path()], { stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = once(child, 'close');
    const acknowledged: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (acknowledged.length === 300) child.kill('SIGKILL');
    }
    await closed;
    const store = openSqliteStore({ path: path() });
    for (const line of acknowledged) {
      const [executionId = '', reported] = line.split(' ');
      const execution = await store.getExecution({ machineId: 'dm-one', executionId });
      expect(execution?.reported ?? -1).toBeGreaterThanOrEqual(Number(reported));
      const events = await store.listEvents({ executionId, afterSequence: 0, limit: 99, maxBytes: 2 ** 30 });
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
      expect(events).toHaveLength(execution?.lastSequence ?? -1);
    }
    await store.close();
    expect(inspect('PRAGMA integrity_check')).toEqual(['ok']);
    expect(inspect('PRAGMA foreign_key_check')).toEqual([]);
  }, 60_000);
});
