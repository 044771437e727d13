/** A connection to the primary: pipelined, with time-outs on both sides. */
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { StoreUnavailableError } from '../../store.ts';
import { asStoreError } from './failures.ts';
import type { DatabaseAddress, Target } from './url.ts';

export interface Statement {
  text: string;
  values?: unknown[];
  /** Prepared once for each connection under this name. */
  name?: string;
}

export interface Connection {
  /** Sends a statement without waiting for the answers to earlier ones. */
  query<Row extends object>(statement: Statement): Promise<Row[]>;
  /** Like `query`, for statements without rows. Returns the completed command, such as `COMMIT`, and the number of rows. */
  run(statement: Statement): Promise<{ command: string; count: number }>;
  /** The id of its process in the database. */
  readonly processId: number;
  /** Whether the connection can still be used. */
  readonly alive: boolean;
  /** Settles when the connection cannot be used any more. */
  readonly lost: Promise<void>;
  /** Calls `notified` with the payload of each NOTIFY that this connection listens to. */
  onNotification(notified: (payload: string) => void): void;
  close(): Promise<void>;
  /** Ends the connection without a message to the server. */
  destroy(): void;
}

/** Time limits for a lock, a statement, the next statement of a transaction, and an answer, ms. */
const TIMEOUTS = {
  lock_timeout: 5000,
  statement_timeout: 10_000,
  idle_in_transaction_session_timeout: 10_000,
  query_timeout: 15_000,
};
const { INT8 } = pg.types.builtins;

/** Parses integers as numbers: every integer in the schema fits into a double. */
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === INT8 ? (text: string) => Number(text) : pg.types.getTypeParser(oid, format as 'text');
  },
};

/** Connects to the first host that is a primary, and runs `settings` first. Rejects with StoreUnavailableError if there is none. */
export async function connect(address: DatabaseAddress, settings?: Statement): Promise<Connection> {
  const failures: string[] = [];
  for (const target of address.targets) {
    for (const ssl of address.encryptions) {
      try {
        const connection = await open(address, target, ssl);
        if (settings !== undefined) await connection.run(settings);
        return connection;
      } catch (error) {
        failures.push(`${target.host}:${target.port}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  throw new StoreUnavailableError(`no primary can be reached (${failures.join('; ')})`);
}

async function open(
  address: DatabaseAddress,
  { host, port }: Target,
  ssl: DatabaseAddress['encryptions'][number],
): Promise<Connection> {
  const client = new pg.Client({
    host,
    port,
    user: address.user,
    password: address.password ?? '',
    database: address.database,
    ssl,
    application_name: address.applicationName,
    connectionTimeoutMillis: address.connectTimeoutMs,
    keepAlive: true,
    pipeline: true,
    types,
    ...(address.options !== undefined && { options: address.options }),
    ...TIMEOUTS,
  });
  const connection = wrap(client);
  try {
    await client.connect();
    const [state] = await connection.query<{ standby: boolean; pid: number }>({
      text: 'SELECT pg_is_in_recovery() AS standby, pg_backend_pid() AS pid',
    });
    if (state?.standby !== false) throw new Error('it is a standby');
    return Object.assign(connection, { processId: state.pid });
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

function wrap(client: pg.Client): Connection {
  let alive = true;
  const dead = (): void => {
    alive = false;
  };
  // Without a listener the loss of a connection would end the process. A caller that waits for an answer gets the error from its query.
  client.on('error', dead).on('end', dead);
  const ask = async (statement: Statement) => {
    sendTogether(client.connection.stream);
    try {
      return await client.query(statement);
    } catch (error) {
      throw asPostgresError(error);
    }
  };
  return {
    query: async <Row extends object>(statement: Statement) => (await ask(statement)).rows as Row[],
    run: async (statement) => {
      const { command, rowCount } = await ask(statement);
      return { command, count: rowCount ?? 0 };
    },
    processId: 0,
    lost: new Promise((resolve) => void client.once('end', resolve).once('error', () => resolve())),
    onNotification: (notified) => void client.on('notification', ({ payload = '' }) => notified(payload)),
    get alive() {
      return alive;
    },
    close: async () => {
      alive = false;
      await client.end();
    },
    destroy: () => {
      alive = false;
      client.connection.stream.destroy();
    },
  };
}

/** Sends the statements of one turn of the event loop in one packet: a write for each would be the largest cost of a statement. */
function sendTogether(stream: Duplex): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

const asPostgresError = asStoreError;
