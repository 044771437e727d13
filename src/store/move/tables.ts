/** Maps the tables and columns of an SQLite database to those of a PostgreSQL database. */
import type { Database } from '../sqlite/file/database.ts';

/** One table, under its names in PostgreSQL. */
export interface MovedTable {
  readonly name: string;
  /** Columns that are unique together: rows are read, and compared, in their order. */
  readonly key: readonly string[];
  /** SQL expressions for columns that SQLite has under another name, or in a joined table. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Columns that only PostgreSQL has. */
  readonly added?: readonly string[];
  /** Columns of the same table in SQLite that are not copied. */
  readonly dropped?: readonly string[];
  /** The SQL after `FROM name t` in SQLite. */
  readonly suffix?: string;
  /** The highest key that was given out to a deleted row, in SQLite. */
  readonly highestDeleted?: string;
  /** The sequence that gives out the first column of the key. `identity`: that column's own sequence. */
  readonly sequence?: string;
  /** A server without any data writes rows here, too: those of the target are replaced. */
  readonly replaced?: true;
}

/** The remains of deleted executions and artifacts are not moved: the server would purge them. */
const EXECUTION_EXISTS = 'WHERE t.execution_id IN (SELECT id FROM executions)';

/** The tables to copy, each after those that it refers to. */
export const MOVED_TABLES: readonly MovedTable[] = [
  {
    name: 'machines',
    key: ['id'],
    added: ['owner', 'history'],
    dropped: ['newest_execution', 'next_expiry'],
    sequence: 'identity',
  },
  { name: 'machine_labels', key: ['machine_id', 'key'] },
  { name: 'machine_operations', key: ['machine_id'], added: ['replica_id'] },
  {
    name: 'executions',
    key: ['id'],
    highestDeleted: '(SELECT highest_deleted FROM execution_keys)',
    sequence: 'execution_ids',
  },
  { name: 'requests', key: ['execution_id'] },
  { name: 'sealed_inputs', key: ['execution_id'] },
  {
    name: 'events',
    key: ['execution_id', 'sequence'],
    renamed: { chunk: 'c.bytes' },
    dropped: ['chunk_id'],
    suffix: `LEFT JOIN chunks c ON c.id = t.chunk_id ${EXECUTION_EXISTS}`,
  },
  {
    name: 'stream_chunks',
    key: ['execution_id', 'stream', 'stream_end'],
    dropped: ['id'],
    suffix: EXECUTION_EXISTS,
  },
  { name: 'output_tails', key: ['execution_id', 'stream'], suffix: EXECUTION_EXISTS },
  {
    name: 'artifacts',
    key: ['id'],
    sequence: 'identity',
  },
  {
    name: 'artifact_pieces',
    key: ['artifact_id', 'position'],
    suffix: `WHERE t.artifact_id IN (SELECT id FROM artifacts)
      AND t.artifact_id NOT IN (SELECT artifact_id FROM artifact_purge)`,
  },
  {
    name: 'batches',
    key: ['id'],
    added: ['replica_id', 'tally_by'],
    sequence: 'identity',
  },
  {
    name: 'batch_members',
    key: ['batch_id', 'position'],
  },
  { name: 'counts', key: ['minute', 'name'] },
  {
    name: 'schedules',
    key: ['id'],
    renamed: { id: 't.schedule', public_id: 't.schedule_id' },
    sequence: 'identity',
  },
  {
    name: 'schedule_runs',
    key: ['id'],
    renamed: { id: 't.run', schedule_id: 't.schedule', batch_public_id: 't.batch_id' },
    sequence: 'identity',
  },
  { name: 'idempotency', key: ['api_key', 'key'] },
  { name: 'callbacks', key: ['id'], sequence: 'identity' },
  {
    name: 'join_tokens',
    key: ['id'],
    sequence: 'identity',
  },
  {
    name: 'api_keys',
    key: ['id'],
    sequence: 'identity',
  },
  {
    name: 'audit',
    key: ['id'],
    sequence: 'identity',
  },
  { name: 'audit_retention', key: ['only_row'], replaced: true },
];

/** Tables that are copied with another table, or that PostgreSQL does not need. */
const NOT_MOVED = [
  'schema_migrations',
  'chunks',
  'pending_purge',
  'execution_keys',
  'artifact_total',
  'artifact_purge',
  'write_probe',
  'succeeded_spans',
];

/** A column in PostgreSQL, its type there, and the expression that reads it in SQLite. */
export interface MovedColumn {
  readonly name: string;
  readonly type: string;
  readonly source: string;
}

/**
 * Returns the columns of `table`. `found`: its columns in PostgreSQL. Throws if a column of SQLite would be lost or one of PostgreSQL would
 * stay empty: a schema has changed and MOVED_TABLES has not.
 */
export function columnsOf(
  table: MovedTable,
  found: readonly { name: string; type: string }[],
  db: Database,
): MovedColumn[] {
  const { renamed = {}, added = [], dropped = [] } = table;
  const columns = found
    .filter(({ name }) => !added.includes(name))
    .map(({ name, type }) => ({ name, type, source: renamed[name] ?? `t."${name}"` }));
  const present = db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)').pluck().all(table.name);
  const read = new Set(columns.map(({ source }) => source.replace(/^t\./, '').replaceAll('"', '')));
  const left = present.filter((name) => !read.has(name) && !dropped.includes(name));
  const missing = [...read].filter((name) => !name.includes('.') && !present.includes(name));
  if (left.length === 0 && missing.length === 0) return columns;
  throw new Error(`${table.name}: nothing moves its columns ${[...left, ...missing].join(', ')}`);
}

/** Throws if the database has a table that nothing moves. */
export function assertAllTablesKnown(db: Database): void {
  const names = db
    .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'")
    .pluck()
    .all();
  const known = new Set([...NOT_MOVED, ...MOVED_TABLES.map(({ name }) => name)]);
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) throw new Error(`nothing moves the tables ${unknown.join(', ')}`);
}
