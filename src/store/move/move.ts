/** Moves an SQLite database to an empty PostgreSQL database: one transaction, in which every row is read back before the commit. */
import { transact } from '../postgres/connections/commit.ts';
import type { Connection } from '../postgres/connections/connection.ts';
import { ConnectionSlot } from '../postgres/connections/slots.ts';
import { parseDatabaseUrl } from '../postgres/connections/url.ts';
import { REPLICA_ALIVE } from '../postgres/statements/select-machine.ts';
import { prepareSchema } from '../postgres/connections/schema.ts';
import type { Database } from '../sqlite/file/database.ts';
import { writeFirstEvents } from '../sqlite/tables/event-log.ts';
import { type CopiedTable, copyTable } from './copy.ts';
import { assertAllTablesKnown, MOVED_TABLES } from './tables.ts';

export type { CopiedTable } from './copy.ts';

/** The data cannot be moved, or not to this target. The message names the remedy. */
export class MoveRefusedError extends Error {
  override readonly name = 'MoveRefusedError';
}

export interface Move {
  url: string;
  /** Identifies the secret key; the servers of the database compare it with theirs. */
  fingerprint: Buffer;
  /** Secrets that the servers share, sealed under that key. Undefined if there are none. */
  sealedSecrets: Buffer | undefined;
  /** ms since the epoch. */
  now: number;
  /** Called for each table while it is copied and when it is verified. */
  progress: (p: { table: string; rows: number; verified: boolean }) => void;
}

/**
 * Moves everything that `db` contains. The target gets all of it or nothing. Rejects with MoveRefusedError if servers use the target or
 * it contains rows, MoveMismatchError, DatabaseUrlError, StoreUnavailableError.
 */
export async function moveToPostgres(db: Database, move: Move): Promise<CopiedTable[]> {
  assertAllTablesKnown(db);
  writeFirstEvents(db);
  const address = parseDatabaseUrl(move.url);
  await prepareSchema(address);
  const slot = new ConnectionSlot(address);
  try {
    return await transact(slot, address, async (connection) => {
      await reserve(connection);
      const result: CopiedTable[] = [];
      for (const table of MOVED_TABLES) {
        const progress = (rows: number): void => move.progress({ table: table.name, rows, verified: false });
        const copied = await copyTable({ db, connection }, table, progress);
        move.progress({ table: copied.name, rows: copied.rows, verified: true });
        result.push(copied);
      }
      await shareSecrets(connection, move);
      return { result };
    });
  } finally {
    await slot.close();
  }
}

/** Locks the tables, so that no server can register until the transaction ends. Throws MoveRefusedError if a server or a row exists. */
async function reserve(connection: Connection): Promise<void> {
  await connection.run({ text: 'SET LOCAL statement_timeout = 0' });
  await connection.run({ text: 'SET LOCAL idle_in_transaction_session_timeout = 0' });
  const tables = MOVED_TABLES.map(({ name }) => name);
  await connection.run({ text: `LOCK TABLE replicas, cluster, ${tables.join(', ')} IN EXCLUSIVE MODE` });
  const alive = `SELECT 1 FROM replicas WHERE ${REPLICA_ALIVE}`;
  if ((await connection.query({ text: alive })).length > 0) {
    throw new MoveRefusedError('servers run on the PostgreSQL database: stop them first');
  }
  for (const { name, replaced = false } of MOVED_TABLES) {
    if (replaced) {
      await connection.run({ text: `DELETE FROM ${name}` });
      continue;
    }
    const [row] = await connection.query<{ rows: number }>({ text: `SELECT count(*) AS rows FROM ${name}` });
    if (row !== undefined && row.rows > 0) {
      throw new MoveRefusedError(`the PostgreSQL database is not empty: ${name} has ${row.rows} rows`);
    }
  }
}

/** Stores the shared secrets, and the time from which agents count as offline. */
async function shareSecrets(connection: Connection, { fingerprint, sealedSecrets, now }: Move): Promise<void> {
  const text = `INSERT INTO cluster (key_fingerprint, sealed_secrets, accepting_since, last_tick) VALUES ($1, $2, $3, $3)
    ON CONFLICT (single) DO UPDATE SET key_fingerprint = EXCLUDED.key_fingerprint, sealed_secrets = EXCLUDED.sealed_secrets`;
  await connection.run({ text, values: [fingerprint, sealedSecrets ?? null, now] });
}
