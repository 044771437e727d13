/** Copies one table from SQLite to PostgreSQL, reads it back and compares, within the caller's transaction. */
import { rows as insertRows } from '../postgres/statements/bulk.ts';
import type { Connection } from '../postgres/connections/connection.ts';
import type { Database } from '../sqlite/file/database.ts';
import { RowDigest } from './row-digest.ts';
import { columnsOf, type MovedColumn, type MovedTable } from './tables.ts';

/** Limits of one round trip: rows and bytes that are sent, and rows that are read back. */
const MAX_ROWS = 500;
const MAX_BYTES = 4 * 1024 * 1024;
const ROWS_READ_BACK = 64;
/** Rows between two progress reports of a large table. */
const PROGRESS_ROWS = 50_000;

/** The result of copying a table. */
export interface CopiedTable {
  readonly name: string;
  readonly rows: number;
  /** SHA-256 of its rows, hexadecimal: the same for the rows as read and as read back. */
  readonly digest: string;
}

/** The rows that were read back differ from those that were written. */
export class MoveMismatchError extends Error {
  override readonly name = 'MoveMismatchError';
}

/** Copies `table` and compares every row. `progress` receives the number of rows copied so far. Throws MoveMismatchError. */
export async function copyTable(
  { db, connection }: { db: Database; connection: Connection },
  table: MovedTable,
  progress: (rows: number) => void,
): Promise<CopiedTable> {
  const text = `SELECT column_name AS name, data_type AS type FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`;
  const found = await connection.query<{ name: string; type: string }>({ text, values: [table.name] });
  const columns = columnsOf(table, found, db);
  const written = await write({ db, connection }, { table, columns, progress });
  const readBack = await digestOf(connection, table, columns);
  const [before, after] = [written.end(), readBack.end()];
  if (written.rows !== readBack.rows || before !== after) {
    throw new MoveMismatchError(
      `${table.name}: ${readBack.rows} rows were read back (${after}), ${written.rows} were written (${before})`,
    );
  }
  await moveSequence(connection, table, lastGiven(db, table));
  return { name: table.name, rows: written.rows, digest: before };
}

async function write(
  { db, connection }: { db: Database; connection: Connection },
  p: { table: MovedTable; columns: readonly MovedColumn[]; progress: (rows: number) => void },
): Promise<RowDigest> {
  const { table, columns, progress } = p;
  const names = columns.map(({ name }) => `"${name}"`).join(', ');
  const into = `INSERT INTO ${table.name} (${names}) OVERRIDING SYSTEM VALUE VALUES`;
  const types = columns.map(({ type }) => type);
  const digest = new RowDigest();
  let batch: unknown[][] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    for (const statement of insertRows({ into, types }, batch)) await connection.run(statement);
    batch = [];
    bytes = 0;
  };
  const select = db.prepare<[], unknown[]>(selectText(table, columns)).raw();
  for (const row of select.iterate()) {
    digest.add(row);
    batch.push(row);
    bytes += sizeOf(row);
    if (batch.length >= MAX_ROWS || bytes >= MAX_BYTES) await send();
    if (digest.rows % PROGRESS_ROWS === 0) progress(digest.rows);
  }
  await send();
  return digest;
}

function selectText({ name, key, suffix = '' }: MovedTable, columns: readonly MovedColumn[]): string {
  const selectList = columns.map((column) => `${column.source} AS "${column.name}"`).join(', ');
  const order = key
    .map((column) => columns.find((candidate) => candidate.name === column)?.source ?? column)
    .join(', ');
  return `SELECT ${selectList} FROM ${name} t ${suffix} ORDER BY ${order}`;
}

function sizeOf(row: readonly unknown[]): number {
  return row.reduce<number>(
    (sum, value) => sum + (typeof value === 'string' || Buffer.isBuffer(value) ? value.length : 8),
    0,
  );
}

/** Reads a table back and returns the digest of its rows. Text is sorted by its bytes, as in SQLite. */
async function digestOf(connection: Connection, table: MovedTable, columns: readonly MovedColumn[]) {
  const isText = (name: string): boolean => columns.some((column) => column.name === name && column.type === 'text');
  const order = table.key.map((name) => (isText(name) ? `"${name}" COLLATE "C"` : `"${name}"`)).join(', ');
  const names = columns.map(({ name }) => `"${name}"`).join(', ');
  const digest = new RowDigest();
  const cursor = `DECLARE moved NO SCROLL CURSOR FOR SELECT ${names} FROM ${table.name} ORDER BY ${order}`;
  await connection.run({ text: cursor });
  for (;;) {
    const text = `FETCH ${ROWS_READ_BACK} FROM moved`;
    const page = await connection.query<Record<string, unknown>>({ text });
    for (const row of page) digest.add(columns.map(({ name }) => row[name]));
    if (page.length < ROWS_READ_BACK) break;
  }
  await connection.run({ text: 'CLOSE moved' });
  return digest;
}

/** Returns the highest key that SQLite has given out, also to a deleted row: it must not be given out again. */
function lastGiven(db: Database, { name, key, renamed = {}, highestDeleted = '0' }: MovedTable): number {
  const [first = ''] = key;
  const text = `SELECT max(coalesce((SELECT max(${renamed[first] ?? first}) FROM ${name} t), 0),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0), ${highestDeleted})`;
  return db.prepare<[string], number>(text).pluck().get(name) ?? 0;
}

async function moveSequence(connection: Connection, { name, key, sequence }: MovedTable, last: number): Promise<void> {
  if (sequence === undefined || last === 0) return;
  const sequenceName =
    sequence === 'identity' ? `pg_get_serial_sequence('${name}', '${key[0] ?? ''}')` : `'${sequence}'`;
  await connection.query({ text: `SELECT setval(${sequenceName}, $1)`, values: [last] });
}
