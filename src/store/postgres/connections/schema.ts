/** Checks that a database can be used, and brings its schema up to date. Its faults are reported with what to do about them. */
import { type Connection, connect } from './connection.ts';
import { codeOf } from './failures.ts';
import { migrate } from './migrations.ts';
import { type DatabaseAddress, DatabaseUrlError } from './url.ts';

const OLDEST_VERSION = 150_000;
const INSUFFICIENT_PRIVILEGE = '42501';
/** A table exists already, or a table of migrations has other columns. */
const FOREIGN_TABLES = /^(42P07|42703)$/;

const PROPERTIES = `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
  current_setting('server_encoding') AS encoding, current_schema() AS schema,
  current_setting('transaction_read_only')::boolean AS read_only`;

interface Properties {
  version: string;
  number: number;
  encoding: string;
  schema: string | null;
  read_only: boolean;
}

/**
 * Applies the missing migrations. Rejects with DatabaseUrlError if the database cannot be used, SchemaTooNewError, StoreUnavailableError.
 */
export async function prepareSchema(address: DatabaseAddress): Promise<void> {
  const connection = await connect(address);
  try {
    await assertUsable(connection, address);
    // A migration of a large table takes as long as it takes. Everything else has limits: a lost answer must not keep a server from starting.
    const withoutLimits = () => connect(address, { answerTimeoutMs: 0 });
    await migrate(connection, withoutLimits).catch((error: unknown) => {
      throw asUnusable(error, address);
    });
  } finally {
    await connection.close();
  }
}

/** Throws DatabaseUrlError if the database cannot hold the schema, or if sessions do not keep their state. */
export async function assertUsable(connection: Connection, address: DatabaseAddress): Promise<void> {
  const [found] = await connection.query<Properties>({ text: PROPERTIES });
  const reason = found && reasonAgainst(found);
  if (reason !== undefined) throw new DatabaseUrlError(reason);
  if (connection.isPooled && (await sharesSessions(connection, address))) {
    throw new DatabaseUrlError(
      'a connection pooler in front of PostgreSQL gives a session to several connections (PgBouncer: pool_mode = transaction). Give the address of PostgreSQL, or pool_mode = session: each server keeps 10 connections',
    );
  }
}

function reasonAgainst({ version, number, encoding, schema, read_only: readOnly }: Properties): string | undefined {
  if (number < OLDEST_VERSION) return `its PostgreSQL ${version} is too old: use 15 or later`;
  if (encoding !== 'UTF8') {
    return `the encoding of the database is ${encoding}: make one with createdb --encoding UTF8 --template template0`;
  }
  if (schema === null)
    return 'no schema of the search_path exists: create it, or set the search_path of the role to public';
  if (readOnly) {
    return 'default_transaction_read_only is on, for the role, the database or the server. Some providers set it when the disk is full. Set it to off';
  }
  return undefined;
}

/** Whether a second connection gets the session of the first, although that one is still connected. */
async function sharesSessions(first: Connection, address: DatabaseAddress): Promise<boolean> {
  const second = await connect(address);
  await second.close();
  return second.processId === first.processId;
}

function asUnusable(error: unknown, { user }: DatabaseAddress): unknown {
  const code = codeOf(error) ?? '';
  const { message } = error as Error;
  if (code === INSUFFICIENT_PRIVILEGE) {
    return new DatabaseUrlError(
      `${message}: make ${user} the owner of the database, or grant CREATE on the schema to it`,
    );
  }
  if (!FOREIGN_TABLES.test(code)) return error;
  return new DatabaseUrlError(`the database has tables of another program (${message}): use a database of its own`);
}
