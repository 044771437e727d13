/** Makes pages of rows, bounded by size as well as by number. */
import type { Page } from '../store.ts';

/** Maximum size of a page, in characters. Lists have no limit on the size of a row, and one argv may have megabytes. */
const PAGE_SIZE = 1_048_576;

/**
 * Makes a page of up to `limit` + 1 rows, read one by one. It ends early once the rows together are large. The last row only shows that
 * there are more.
 */
export function toPage<Row extends object, T>(
  rows: Iterable<Row>,
  limit: number,
  keyOf: (row: Row) => number,
  convert: (row: Row) => T,
): Page<T> {
  const items: T[] = [];
  let size = 0;
  let next = 0;
  for (const row of rows) {
    if (items.length === limit || size > PAGE_SIZE) return { items, next };
    items.push(convert(row));
    size += sizeOf(row);
    next = keyOf(row);
  }
  return { items };
}

/** Returns the characters of a row's text. Other columns are small. */
function sizeOf(row: object): number {
  return Object.values(row).reduce(
    (sum: number, value: unknown) => sum + (typeof value === 'string' ? value.length : 0),
    0,
  );
}
