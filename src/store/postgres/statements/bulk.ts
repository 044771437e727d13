/** Writes many rows in few statements. */
import type { Statement } from '../connections/statement-group.ts';

/** Maximum number of parameters of one statement (the protocol counts them in 16 bits). */
const MAX_PARAMETERS = 60_000;

/**
 * Numbers of rows of the texts that list them. Fewer rows are filled up with NULLs: a statement more costs as much as several rows. More rows are
 * sent as arrays, which PostgreSQL takes 8 µs each to take apart, whatever their length: for one row of 28 columns that is three quarters of its
 * time.
 */
const LISTED_ROWS = [1, 2, 4, 8, 16, 32];

/** A statement whose parameters are arrays. */
type BulkStatement = Statement & { values: unknown[] };

/** Names and types of columns, in the order of the values of a row. */
export type Columns = Readonly<Record<string, 'bigint' | 'boolean' | 'text' | 'bytea' | 'xid'>>;

/** A statement on rows, in texts for certain numbers of rows and one for any number. */
export interface RowsStatement {
  name: string;
  columns: number;
  /** By number of rows, the smallest first. */
  listed: readonly { count: number; text: string }[];
  arrays: string;
  /** Whether the last parameter is the number of rows. */
  isCounted: boolean;
}

interface Options {
  /** The statement uses `count`. */
  isCounted?: boolean;
}

/**
 * `text` returns the statement on `rows`, which stands after FROM, with the alias `u`. It must ignore rows whose first column is NULL. `count`: the
 * parameter for the number of the others.
 */
export function rowsStatement(
  name: string,
  columns: Columns,
  text: (rows: string, count: string) => string,
  { isCounted = false }: Options = {},
): RowsStatement {
  const types = Object.values(columns);
  const alias = `AS u (${quoted(columns)})`;
  const row = (index: number) =>
    `(${types.map((type, at) => `$${index * types.length + at + 1}::${type}`).join(', ')})`;
  const arrays = `unnest(${types.map((type, at) => `$${at + 1}::${type}[]`).join(', ')}) ${alias}`;
  return {
    name,
    columns: types.length,
    listed: LISTED_ROWS.map((count) => {
      const rows = Array.from({ length: count }, (_, index) => row(index));
      return { count, text: text(`(VALUES ${rows.join(', ')}) ${alias}`, `$${count * types.length + 1}::bigint`) };
    }),
    arrays: text(arrays, `$${types.length + 1}::bigint`),
    isCounted,
  };
}

/** Returns the statement that inserts rows of these columns. The first one is never NULL. */
export function insertStatement(name: string, table: string, columns: Columns): RowsStatement {
  const [key = ''] = Object.keys(columns);
  return rowsStatement(
    name,
    columns,
    (rows) => `INSERT INTO ${table} (${quoted(columns)}) SELECT * FROM ${rows} WHERE u."${key}" IS NOT NULL`,
  );
}

function quoted(columns: Columns): string {
  return Object.keys(columns)
    .map((column) => `"${column}"`)
    .join(', ');
}

/** Returns the statement that is applied to the rows, if there are any. */
export function each(
  { name, columns, listed, arrays, isCounted }: RowsStatement,
  of: readonly unknown[][],
): Statement[] {
  if (of.length === 0) return [];
  const count = isCounted ? [of.length] : [];
  const fitting = listed.find((one) => one.count >= of.length);
  if (fitting === undefined) {
    return bulk(name, arrays, of).map((statement) => ({ ...statement, values: [...statement.values, ...count] }));
  }
  const filled = Array.from<null>({ length: (fitting.count - of.length) * columns }).fill(null);
  return [{ name: `${name}-${fitting.count}`, text: fitting.text, values: [...of.flat(), ...filled, ...count] }];
}

/** Returns one statement for all rows: an array for each column. */
export function bulk(name: string, text: string, of: readonly unknown[][]): BulkStatement[] {
  const [first] = of;
  if (first === undefined) return [];
  return [{ name, text, values: first.map((_, column) => of.map((row) => row[column] ?? null)) }];
}

/** Returns as few statements as possible, with each value as a parameter: bytes in an array would be sent as text. */
export function rows(
  { into, types, conflict = '' }: { into: string; types: readonly string[]; conflict?: string },
  of: readonly unknown[][],
): Statement[] {
  const maxRows = Math.floor(MAX_PARAMETERS / types.length);
  return Array.from({ length: Math.ceil(of.length / maxRows) }, (_, part) => {
    const some = of.slice(part * maxRows, (part + 1) * maxRows);
    const places = some.map(
      (_row, index) => `(${types.map((type, column) => `$${index * types.length + column + 1}::${type}`).join(', ')})`,
    );
    return { text: `${into} ${places.join(', ')} ${conflict}`, values: some.flat() };
  });
}
