/** Maps the tables and columns of an SQLite database to those of a PostgreSQL database. */
import type { Database } from '../sqlite/file/database.ts';

/** One table, under its names in PostgreSQL. */
export interface MovedTable {
  readonly name: string;
  /** Columns that are unique together: rows are read, and compared, in their order. */
  readonly key: readonly string[];
  /** Columns that SQLite has under another name, or in a table that is joined. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Columns that only PostgreSQL has. */
  readonly added?: readonly string[];
  /** Columns of the same table in SQLite that are not copied. */
  readonly dropped?: readonly string[];
  /** The SQL after `FROM name t` in SQLite. */
  readonly suffix?: string;
  /** The highest key that was given out to a deleted row, in SQLite. */
  readonly highestDeleted?: string;
  /** The sequence that gives out the first column of the key. `identity`: the one of that column. */
  readonly sequence?: string;
}

const OF_MACHINE = { machine_id: 't.machine' };
const OF_EXECUTION = { execution_id: 't.execution' };
/** The remains of deleted executions and artifacts are not moved: the server would purge them. */
const EXECUTION_EXISTS = 'WHERE t.execution IN (SELECT execution FROM executions)';

/** In the order in which they refer to each other. */
export const MOVED_TABLES: readonly MovedTable[] = [
  {
    name: 'machines',
    key: ['id'],
    renamed: { id: 't.machine', public_id: 't.machine_id' },
    added: ['owner', 'history'],
    sequence: 'identity',
  },
  { name: 'machine_labels', key: ['machine_id', 'key'], renamed: OF_MACHINE },
  { name: 'machine_operations', key: ['machine_id'], renamed: OF_MACHINE, added: ['replica_id'] },
  {
    name: 'executions',
    key: ['id'],
    renamed: { id: 't.execution', public_id: 't.execution_id', machine_id: 't.machine' },
    highestDeleted: '(SELECT highest_deleted FROM execution_keys)',
    sequence: 'execution_ids',
  },
  { name: 'requests', key: ['execution_id'], renamed: OF_EXECUTION },
  { name: 'sealed_inputs', key: ['execution_id'], renamed: OF_EXECUTION },
  {
    name: 'events',
    key: ['execution_id', 'sequence'],
    renamed: { ...OF_EXECUTION, chunk: 'c.bytes' },
    dropped: ['chunk'],
    suffix: `LEFT JOIN chunks c ON c.chunk = t.chunk ${EXECUTION_EXISTS}`,
  },
  {
    name: 'stream_chunks',
    key: ['execution_id', 'stream', 'stream_end'],
    renamed: OF_EXECUTION,
    dropped: ['chunk'],
    suffix: EXECUTION_EXISTS,
  },
  { name: 'output_tails', key: ['execution_id', 'stream'], renamed: OF_EXECUTION, suffix: EXECUTION_EXISTS },
  {
    name: 'artifacts',
    key: ['id'],
    renamed: {
      id: 't.artifact',
      public_id: 't.artifact_id',
      machine_id: 't.machine',
      execution_public_id: 't.execution_id',
    },
    sequence: 'identity',
  },
  {
    name: 'artifact_pieces',
    key: ['artifact_id', 'position'],
    renamed: { artifact_id: 't.artifact' },
    suffix: `WHERE t.artifact IN (SELECT artifact FROM artifacts)
      AND t.artifact NOT IN (SELECT artifact FROM artifact_purge)`,
  },
  {
    name: 'batches',
    key: ['id'],
    renamed: { id: 't.batch', public_id: 't.batch_id' },
    added: ['replica_id'],
    sequence: 'identity',
  },
  {
    name: 'batch_members',
    key: ['batch_id', 'position'],
    renamed: { batch_id: 't.batch', ...OF_MACHINE, ...OF_EXECUTION },
  },
  { name: 'counts', key: ['minute', 'name'] },
  { name: 'idempotency', key: ['api_key', 'key'], renamed: { api_key: 't.api_key_id' } },
  { name: 'callbacks', key: ['id'], renamed: { id: 't.callback', ...OF_EXECUTION }, sequence: 'identity' },
  {
    name: 'join_tokens',
    key: ['id'],
    renamed: { id: 't.join_token', public_id: 't.join_token_id', machine_public_id: 't.machine_id' },
    sequence: 'identity',
  },
  {
    name: 'api_keys',
    key: ['id'],
    renamed: { id: 't.api_key', public_id: 't.api_key_id' },
    sequence: 'identity',
  },
  {
    name: 'audit',
    key: ['id'],
    renamed: { id: 't.audit', machine_public_id: 't.machine_id' },
    sequence: 'identity',
  },
];

/** Tables that belong to another one, or that PostgreSQL does not need. */
const NOT_MOVED = [
  'schema_migrations',
  'chunks',
  'pending_purge',
  'execution_keys',
  'artifact_total',
  'artifact_purge',
  'write_probe',
];

/** A column in PostgreSQL, its type there, and the expression that reads it in SQLite. */
export interface MovedColumn {
  readonly name: string;
  readonly type: string;
  readonly source: string;
}

/**
 * Returns the columns of `table`, of which PostgreSQL has `found`. Throws if a column of SQLite would be lost, or one of PostgreSQL would
 * stay empty: then the schemas have changed, and MOVED_TABLES has not.
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
