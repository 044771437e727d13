/** An SQLite database moved to PostgreSQL: refusals, and rows that would differ. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Move, moveToPostgres } from '../../src/store/move/move.ts';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { type Database, openDatabase } from '../../src/store/sqlite/file/database.ts';
import { migrate } from '../../src/store/sqlite/file/migrations.ts';
import { TestPostgres } from '../helpers/postgres.ts';

let postgres: TestPostgres;
let dir: string;
let db: Database;
let url: string;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-move-'));
  db = openDatabase(join(dir, 'execplane.db'));
  migrate(db, 0);
  url = await postgres.schema();
});
afterEach(() => {
  db.close();
  rmSync(dir, { recursive: true });
});

const move = (more: Partial<Move> = {}) =>
  moveToPostgres(db, {
    ...{ url, fingerprint: Buffer.alloc(32, 1), sealedSecrets: Buffer.from('sealed'), now: 5, progress: () => {} },
    ...more,
  });
const count = async (table: string) =>
  (await postgres.query<{ rows: string }>(`SELECT count(*) AS rows FROM ${table}`, url))[0]?.rows;

/** Keys whose order under a collation differs from the order of their bytes. */
const NAMES = ['b', 'B', 'a', 'É', 'e', 'z', '_', '\u{1F600}', '\uFFFD'];

function fill(): void {
  const name = db.prepare('INSERT INTO counts (minute, name, count) VALUES (?, ?, ?)');
  for (let minute = 0; minute < 700; minute += 1) name.run(minute, NAMES[minute % NAMES.length], minute);
  for (const one of NAMES) name.run(-1, one, 1);
  const key = db.prepare(
    "INSERT INTO api_keys (public_id, key_hash, name, scopes, created_at) VALUES (?, ?, 'one', '[]', 1)",
  );
  for (const id of ['ak-1', 'ak-2', 'ak-3']) key.run(id, Buffer.from(id));
  db.exec("DELETE FROM api_keys WHERE public_id = 'ak-3'");
  const token = `INSERT INTO join_tokens (public_id, token_hash, reusable, created_at, expires_at)
    VALUES ('jt-1', x'00ff', 1, 1, 9007199254740991)`;
  db.exec(token);
  db.exec(`INSERT INTO schedules (schedule_id, definition, sealed_request, created_by, created_at, anchor_at, next_at)
    VALUES ('sched-1', '{}', x'01ff', 'admin', 1, 2, 3)`);
  db.exec(`INSERT INTO schedule_runs (schedule, due_at, decided_at, outcome, batch_id)
    VALUES (1, 4, 5, 'started', 'batch-1')`);
}

test('any number of rows is copied, and keys are not given out a second time', async () => {
  fill();
  const told: unknown[] = [];
  const tables = await move({ progress: (p) => told.push(p) });
  expect(tables.find(({ name }) => name === 'counts')).toMatchObject({ rows: 700 + NAMES.length });
  expect(told).toContainEqual({ table: 'counts', rows: 700 + NAMES.length, verified: true });
  expect(await count('counts')).toBe(String(700 + NAMES.length));
  expect(await postgres.query('SELECT reusable, token_hash, expires_at FROM join_tokens', url)).toEqual([
    { reusable: true, token_hash: Buffer.from([0, 255]), expires_at: '9007199254740991' },
  ]);
  const runs = `SELECT s.public_id, s.sealed_request, r.id, r.due_at, r.batch_public_id
    FROM schedules s JOIN schedule_runs r ON r.schedule_id = s.id`;
  expect(await postgres.query(runs, url)).toEqual([
    { public_id: 'sched-1', sealed_request: Buffer.from([1, 255]), id: '1', due_at: '4', batch_public_id: 'batch-1' },
  ]);
  const insert = `INSERT INTO api_keys (public_id, key_hash, name, scopes, created_at)
    VALUES ('ak-4', '', 'next', '[]', 1) RETURNING id`;
  expect(await postgres.query(insert, url)).toEqual([{ id: '4' }]);
  expect(await postgres.query('SELECT key_fingerprint, sealed_secrets FROM cluster', url)).toEqual([
    { key_fingerprint: Buffer.alloc(32, 1), sealed_secrets: Buffer.from('sealed') },
  ]);
  await expect(move()).rejects.toThrow('is not empty: counts has 709 rows');
});

test('a row that differs after the copy leaves the target empty', async () => {
  fill();
  await (await openPostgresStore({ url, version: 'test' })).close();
  const spoil = `CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.expires_at := NEW.expires_at - 1; RETURN NEW; END $$;
    CREATE TRIGGER spoiled BEFORE INSERT ON join_tokens FOR EACH ROW EXECUTE FUNCTION spoil()`;
  await postgres.query(spoil, url);
  await expect(move()).rejects.toThrow(/^join_tokens: 1 rows were read back \(\w{64}\), 1 were written \(\w{64}\)$/);
  expect(await count('counts')).toBe('0');
  await postgres.query('DROP TRIGGER spoiled ON join_tokens', url);
  await move();
  expect(await count('join_tokens')).toBe('1');
});

test('a target on which a server runs is refused, until that server has stopped', async () => {
  const store = await openPostgresStore({ url, version: 'test' });
  await expect(move()).rejects.toThrow('servers run on the PostgreSQL database: stop them first');
  await store.close();
  await expect(move()).resolves.toHaveLength(22);
});

test('what may be removed from the audit trail is moved, also to a database on which a server has run', async () => {
  db.exec('UPDATE audit_retention SET exported_through = 7, released_through = 5, deletable_before = 3');
  const store = await openPostgresStore({ url, version: 'test' });
  await store.deleteAudit({ before: 1, limit: 10 });
  await store.close();
  await move();
  const settings = 'SELECT exported_through, released_through, deletable_before FROM audit_retention';
  expect(await postgres.query(settings, url)).toEqual([
    { exported_through: '7', released_through: '5', deletable_before: '3' },
  ]);
});

test('every table that both databases have is copied', async () => {
  const moved = (await move()).map(({ name }) => name);
  const inPostgres = 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()';
  const found = await postgres.query<{ name: string }>(inPostgres, url);
  const isInSqlite = db.prepare<[string], number>("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
  const inBoth = found.map(({ name }) => name).filter((name) => isInSqlite.get(name) !== undefined);
  expect([...moved, 'schema_migrations'].sort()).toEqual(inBoth.sort());
});

test('a table or a column that nothing copies is found before anything is written', async () => {
  db.exec('ALTER TABLE counts ADD COLUMN later TEXT');
  await expect(move()).rejects.toThrow('counts: nothing moves its columns later');
  db.exec('CREATE TABLE newer (one INTEGER)');
  await expect(move()).rejects.toThrow('nothing moves the tables newer');
});
