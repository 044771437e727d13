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
