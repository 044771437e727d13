/** Writes many rows in few statements. */
import type { Statement } from '../connections/statement-group.ts';

/** Maximum number of parameters of one statement (the protocol counts them in 16 bits). */
const MAX_PARAMETERS = 60_000;

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
