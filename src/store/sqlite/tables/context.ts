/** The objects that the parts of the store share: the database, its one writer, and common tables. */
import type { Database } from '../file/database.ts';
import type { EventLog } from './event-log.ts';
import type { MachineTable } from './machine-table.ts';
import type { OutputTails } from './output-tails.ts';
import type { StreamChunks } from './stream-chunks.ts';
import type { SqliteTransaction } from './transaction.ts';
import { asStoreError } from '../file/unavailable.ts';
import type { Writer } from '../file/writer.ts';

export interface Context {
  db: Database;
  write: Writer['write'];
  log: EventLog;
  chunks: StreamChunks;
  tails: OutputTails;
  /** For use inside a write. */
  tx: SqliteTransaction;
  machines: MachineTable;
}

/**
 * Runs a read immediately. A write transaction begins and ends within one turn of the event loop, so a read sees the committed state
 * and does not wait. Rejects as a write would.
 */
export async function read<T>(work: () => T): Promise<T> {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error);
  }
}
