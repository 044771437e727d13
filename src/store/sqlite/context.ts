/** What the parts of the store share: the database, its one writer, and the tables that more than one of them touches. */
import type { Database } from './database.ts';
import type { EventLog } from './event-log.ts';
import type { MachineTable } from './machine-table.ts';
import type { StreamChunks } from './output.ts';
import type { SqliteTransaction } from './transaction.ts';
import { asStoreError } from './unavailable.ts';
import type { Writer } from './writer.ts';

export interface Context {
  db: Database;
  write: Writer['write'];
  log: EventLog;
  chunks: StreamChunks;
  /** For use inside a write. */
  tx: SqliteTransaction;
  machines: MachineTable;
}

/**
 * Runs a read at once: a write transaction begins and ends within one turn, so a read always sees what is committed and
 * waits for nothing. Rejects as a write would.
 */
export async function read<T>(work: () => T): Promise<T> {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error);
  }
}

/** In characters. Lists are not paged by what a row may hold, and an argv alone may be megabytes. */
const PAGE_SIZE = 4_194_304;

/** The page made of up to `limit` + 1 rows, read one by one: it ends early once they are large together. The last row only tells that there is more. */
export function toPage<Row extends object, T>(
  rows: Iterable<Row>,
  limit: number,
  keyOf: (row: Row) => number,
  convert: (row: Row) => T,
): { items: T[]; next?: number } {
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

/** What can be large in a row is text. */
function sizeOf(row: object): number {
  return Object.values(row).reduce(
    (sum: number, value: unknown) => sum + (typeof value === 'string' ? value.length : 0),
    0,
  );
}
