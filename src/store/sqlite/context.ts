/** What the parts of the store share: the database, its one writer, and the tables that more than one of them touches. */
import type { Database } from './database.ts';
import type { EventLog } from './event-log.ts';
import type { ExecutionTable } from './execution-table.ts';
import type { IdempotencyTable } from './idempotency.ts';
import { asStoreError } from './unavailable.ts';
import type { Writer } from './writer.ts';

export interface Context {
  db: Database;
  write: Writer['write'];
  log: EventLog;
  executions: ExecutionTable;
  idempotency: IdempotencyTable;
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

/** The page made of up to `limit` + 1 rows; the last one only tells that there is more. */
export function toPage<Row, T>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => number,
  convert: (row: Row) => T,
): { items: T[]; next?: number } {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  const items = kept.map(convert);
  return rows.length > limit && last !== undefined ? { items, next: keyOf(last) } : { items };
}
