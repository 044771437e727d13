/** Writes many rows in few statements. */
import type { Statement } from '../connections/statement-group.ts';

/** Maximum number of parameters of one statement (the protocol counts them in 16 bits). */
const MAX_PARAMETERS = 60_000;

/**
 * Numbers of rows of the texts that list them. More rows are sent as arrays, which PostgreSQL takes 8 µs each to take apart, whatever their
 * length: for one row of 28 columns that is three quarters of its time.
 */
const LISTED_ROWS = [16, 8, 4, 2, 1];
const MAX_LISTED_ROWS = 31;

/** Names and types of columns, in the order of the values of a row. */
export type Columns = Readonly<Record<string, 'bigint' | 'boolean' | 'text' | 'bytea'>>;

/** A statement on rows, in texts for certain numbers of rows and one for any number. */
export interface RowsStatement {
  name: string;
  /** By number of rows, the largest first. */
  listed: readonly { count: number; text: string }[];
  arrays: string;
}

/** `text` returns the statement on `rows`, which stands after FROM, with the alias `u`. */
export function rowsStatement(name: string, columns: Columns, text: (rows: string) => string): RowsStatement {
  const types = Object.values(columns);
  const alias = `AS u (${quoted(columns)})`;
  const row = (index: number) =>
    `(${types.map((type, at) => `$${index * types.length + at + 1}::${type}`).join(', ')})`;
  return {
    name,
    listed: LISTED_ROWS.map((count) => {
      const rows = Array.from({ length: count }, (_, index) => row(index));
      return { count, text: text(`(VALUES ${rows.join(', ')}) ${alias}`) };
    }),
    arrays: text(`unnest(${types.map((type, at) => `$${at + 1}::${type}[]`).join(', ')}) ${alias}`),
  };
}

/** Returns the statement that inserts rows of these columns. */
export function insertStatement(name: string, table: string, columns: Columns): RowsStatement {
  return rowsStatement(name, columns, (rows) => `INSERT INTO ${table} (${quoted(columns)}) SELECT * FROM ${rows}`);
}

function quoted(columns: Columns): string {
  return Object.keys(columns)
    .map((column) => `"${column}"`)
    .join(', ');
}

/** Returns the statements that apply `statement` to the rows. */
export function each({ name, listed, arrays }: RowsStatement, of: readonly unknown[][]): Statement[] {
  if (of.length > MAX_LISTED_ROWS) return bulk(name, arrays, of);
  const statements: Statement[] = [];
  let done = 0;
  for (const { count, text } of listed) {
    if (of.length - done < count) continue;
    statements.push({ name: `${name}-${count}`, text, values: of.slice(done, done + count).flat() });
    done += count;
  }
  return statements;
}

/** Returns one statement for all rows: an array for each column. */
export function bulk(name: string, text: string, of: readonly unknown[][]): Statement[] {
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
