/** Brings a database up to the schema of this build: migrations/sqlite/NNNN_name.sql, each applied once, in order. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Database } from './database.ts';

/** The same depth from src/store/sqlite/file and from dist/store/sqlite/file. */
const MIGRATIONS = new URL('../../../../migrations/sqlite/', import.meta.url);

/** The file was written by a newer build: this build cannot know what it may change. */
export class SchemaTooNewError extends Error {
  override readonly name = 'SchemaTooNewError';
}

interface Migration {
  version: number;
  sql: string;
}

/** Applies the missing migrations. Safe to run from several processes at once. Throws SchemaTooNewError. */
export function migrate(db: Database, now: number): void {
  const migrations = readMigrations();
  const latest = latestSchema(migrations);
  db.exec(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT',
  );
  const found = schemaVersion(db);
  if (found > latest) {
    throw new SchemaTooNewError(
      `the database has schema ${found}, this build knows up to ${latest}: run the newer version of execplane that made it`,
    );
  }
  for (const migration of migrations) apply(db, migration, now);
}

function readMigrations(): Migration[] {
  return readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}_\w+\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), sql: readFileSync(new URL(name, MIGRATIONS), 'utf8') }));
}

/** The schema version of this build. */
export function latestSchema(migrations: readonly Migration[] = readMigrations()): number {
  return migrations.at(-1)?.version ?? 0;
}

/** The schema version of a database; 0 if it has none. */
export function schemaVersion(db: Database): number {
  return db.prepare<[], number>('SELECT coalesce(max(version), 0) FROM schema_migrations').pluck().get() ?? 0;
}

/**
 * Applies the migration unless that is done. The version row comes first: of two racing processes, one waits here for the other, and then
 * finds it done.
 */
function apply(db: Database, migration: Migration, now: number): void {
  const done = db.prepare('SELECT 1 FROM schema_migrations WHERE version = ?');
  if (done.get(migration.version) !== undefined) return;
  const claim = db.prepare('INSERT OR IGNORE INTO schema_migrations (version, applied_at) VALUES (?, ?)');
  // A migration may edit the text of the schema (`writable_schema`).
  db.unsafeMode(true);
  try {
    db.transaction(() => {
      if (claim.run(migration.version, now).changes === 1) db.exec(migration.sql);
    }).exclusive();
  } finally {
    db.unsafeMode(false);
  }
}
