/**
 * Brings a database up to the schema of this build: migrations/postgres/NNNN_name.sql, each applied once, in order, under a lock of all
 * servers. NNNN_name.online.sql runs statement by statement outside a transaction (CREATE INDEX CONCURRENTLY), and may be repeated.
 * A first line `-- readable_by: NNNN` names the oldest schema whose builds can still run against it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from './connection.ts';

/** The same depth from src/store/postgres and from dist/store/postgres. */
const MIGRATIONS = new URL('../../../../migrations/postgres/', import.meta.url);
/** An arbitrary number that no other program uses for its locks on this database. */
const LOCK = 7_411_000_001;
const POLL_INTERVAL_MS = 200;

/** The database was brought to a schema that this build cannot run against. */
export class SchemaTooNewError extends Error {
  override readonly name = 'SchemaTooNewError';
}

interface Migration {
  version: number;
  sql: string;
  readableBy: number;
  online: boolean;
}

/** The number of the newest migration that this build knows. */
export function latestMigration(): number {
  return readMigrations().at(-1)?.version ?? 0;
}

/**
 * Applies the missing migrations, over a connection of `withoutLimits`, which is opened only if one is missing. Several servers may do so at
 * once: one applies them, and the others ask every 200 ms whether it has ended, so that each notices if it is cut off. Throws SchemaTooNewError.
 */
export async function migrate(connection: Connection, withoutLimits: () => Promise<Connection>): Promise<void> {
  while (!(await tryLock(connection))) await delay(POLL_INTERVAL_MS);
  try {
    const missing = await findMissing(connection);
    if (missing.length > 0) await applyAll(missing, await withoutLimits());
  } finally {
    await connection.run({ text: 'SELECT pg_advisory_unlock($1)', values: [LOCK] }).catch(() => connection.destroy());
  }
}

async function tryLock(connection: Connection): Promise<boolean> {
  const text = 'SELECT pg_try_advisory_lock($1) AS locked';
  const [row] = await connection.query<{ locked: boolean }>({ text, values: [LOCK] });
  return row?.locked === true;
}

async function findMissing(connection: Connection): Promise<Migration[]> {
  await connection.run({
    text: `CREATE TABLE IF NOT EXISTS schema_migrations (version bigint PRIMARY KEY,
      applied_at timestamptz NOT NULL DEFAULT clock_timestamp(), readable_by bigint NOT NULL)`,
  });
  const done = await connection.query<{ version: number; readable_by: number }>({
    text: 'SELECT version, readable_by FROM schema_migrations',
  });
  const migrations = readMigrations();
  const latest = migrations.at(-1)?.version ?? 0;
  const tooNew = done.find(({ readable_by: readableBy }) => readableBy > latest);
  if (tooNew !== undefined) {
    throw new SchemaTooNewError(
      `the database has schema ${tooNew.version}, this build knows up to ${latest}: run the newer version of execplane that made it`,
    );
  }
  const versions = new Set(done.map(({ version }) => version));
  return migrations.filter(({ version }) => !versions.has(version));
}

async function applyAll(missing: readonly Migration[], connection: Connection): Promise<void> {
  try {
    await connection.run({ text: 'SET lock_timeout = 0; SET statement_timeout = 0' });
    for (const migration of missing) await apply(connection, migration);
  } finally {
    await connection.close();
  }
}

function readMigrations(): Migration[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}_\w+(\.online)?\.sql$/.test(name))
    .sort()
    .map((name) => {
      const sql = readFileSync(new URL(name, MIGRATIONS), 'utf8');
      const version = Number(name.slice(0, 4));
      const readableBy = Number(/^-- readable_by: (\d+)/.exec(sql)?.[1] ?? version);
      return { version, sql, readableBy, online: name.endsWith('.online.sql') };
    });
}

/** Applies a migration. Its statements form one transaction together with the row that records it. */
async function apply(connection: Connection, { version, sql, readableBy, online }: Migration): Promise<void> {
  const done = `INSERT INTO schema_migrations (version, readable_by) VALUES (${version}, ${readableBy})`;
  if (!online) {
    await connection.run({ text: `BEGIN; SET LOCAL lock_timeout = '5s'; ${done}; ${sql}; COMMIT` });
    return;
  }
  for (const text of sql.split(/;\s*$/m)) if (text.trim() !== '') await connection.run({ text });
  await connection.run({ text: done });
}
