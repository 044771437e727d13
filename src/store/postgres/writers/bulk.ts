/** Writes many rows in few statements. */
import type { Statement } from '../connections/statement-group.ts';

/** Maximum number of parameters of one statement (the protocol counts them in 16 bits). */
const MAX_PARAMETERS = 60_000;

/** Up to this number, a statement for each row is faster than one for all: PostgreSQL takes 8 µs to take an array apart, whatever its length. */
const MAX_SINGLE_ROWS = 4;

/** Names and types of columns, in the order of the values of a row. */
export type Columns = Readonly<Record<string, 'bigint' | 'boolean' | 'text' | 'bytea'>>;

/** A statement on rows: its texts for one row and for any number of rows. */
export interface RowsStatement {
  name: string;
  one: string;
  many: string;
}

/** `text` returns the statement on `rows`, which stands after FROM, with the alias `u`. */
export function rowsStatement(name: string, columns: Columns, text: (rows: string) => string): RowsStatement {
  const alias = `AS u (${quoted(columns)})`;
  const parameters = (suffix: string) => Object.values(columns).map((type, index) => `$${index + 1}::${type}${suffix}`);
  return {
    name,
    one: text(`(VALUES (${parameters('').join(', ')})) ${alias}`),
    many: text(`unnest(${parameters('[]').join(', ')}) ${alias}`),
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

/** Returns the statements that apply it to the rows: one for each of few rows, otherwise one for all. */
export function each({ name, one, many }: RowsStatement, of: readonly unknown[][]): Statement[] {
  if (of.length > MAX_SINGLE_ROWS) return bulk(name, many, of);
  return of.map((values) => ({ name: `${name}-one`, text: one, values }));
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
