/** A connection to the primary: pipelined, with time-outs on both sides. */
import pg from 'pg';
import { StoreUnavailableError } from '../../store.ts';
import { asStoreError } from './failures.ts';
import {
  type PendingStatement,
  type PreparedStatements,
  type Statement,
  StatementGroup,
  type StatementResult,
} from './statement-group.ts';
import type { DatabaseAddress, Target } from './url.ts';

export interface Connection {
  /** Sends a statement without waiting for the answers to earlier ones. */
  query<Row extends object>(statement: Statement): Promise<Row[]>;
  /** Like `query`, for statements without rows. Returns the completed command, such as `COMMIT`, and the number of rows. */
  run(statement: Statement): Promise<{ command: string; count: number }>;
  /** The id of its process in the database. */
  readonly processId: number;
  /** Whether a connection pooler is in between: it announced another process than the one that answers. */
  readonly isPooled: boolean;
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

/**
 * Settings of each session. Time limits for a lock, a statement, and the next statement of a transaction, in ms; none for an idle session,
 * also if a role has one. They are set by a statement, because poolers refuse them as parameters of a connection.
 */
const SETTINGS = {
  lock_timeout: 5000,
  statement_timeout: 10_000,
  idle_in_transaction_session_timeout: 10_000,
  idle_session_timeout: 0,
};
const SET = Object.entries(SETTINGS).map(([name, value]) => `set_config('${name}', '${value}', false)`);
const OPENED = `SELECT pg_is_in_recovery() AS standby, pg_backend_pid() AS pid, ${SET.join(', ')}`;
const ANSWER_TIMEOUT_MS = 15_000;
const { INT8 } = pg.types.builtins;

/** Parses integers as numbers: every integer in the schema fits into a double. */
function parserOf(typeId: number): (text: string) => unknown {
  return typeId === INT8 ? Number : pg.types.getTypeParser(typeId, 'text');
}

export interface ConnectionOptions {
  /** A statement that runs first. */
  settings?: Statement;
  /** Statements of one turn belong to one transaction: one that fails ends those after it too. */
  isExclusive?: boolean;
  /** Time without an answer after which the connection is given up, ms; 0: none. Default: 15 s. */
  answerTimeoutMs?: number;
}

/** Connects to the first host that is a primary. Rejects with StoreUnavailableError if there is none. */
export async function connect(address: DatabaseAddress, options: ConnectionOptions = {}): Promise<Connection> {
  const { settings, isExclusive = false, answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
  const failures: string[] = [];
  for (const target of address.targets) {
    for (const ssl of address.encryptions) {
      try {
        const connection = await open(address, { target, ssl, isExclusive, answerTimeoutMs });
        if (settings !== undefined) await connection.run(settings);
        return connection;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        failures.push(`${target.host}:${target.port} ${ssl === false ? 'without' : 'with'} TLS: ${message}`);
      }
    }
  }
  throw new StoreUnavailableError(`no primary can be reached (${failures.join('; ')})`);
}

interface Dialled {
  target: Target;
  ssl: DatabaseAddress['encryptions'][number];
  isExclusive: boolean;
  answerTimeoutMs: number;
}

async function open(address: DatabaseAddress, dialled: Dialled): Promise<Connection> {
  const { target, ssl, isExclusive, answerTimeoutMs } = dialled;
  const { host, port } = target;
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
    ...(address.options !== undefined && { options: address.options }),
    query_timeout: answerTimeoutMs,
  });
  const connection = wrap(client, isExclusive);
  try {
    await client.connect();
    const [state] = await connection.query<{ standby: boolean; pid: number }>({ text: OPENED });
    if (state?.standby !== false) throw new Error('it is a standby');
    return Object.assign(connection, { processId: state.pid, isPooled: announcedProcess(client) !== state.pid });
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** Returns the id of the process that was announced when the connection was opened. The types of pg omit it. */
function announcedProcess(client: pg.Client): unknown {
  return 'processID' in client ? client.processID : undefined;
}

function wrap(client: pg.Client, isExclusive: boolean): Connection {
  let alive = true;
  const dead = (): void => {
    alive = false;
  };
  // Without a listener the loss of a connection would end the process. A caller that waits for an answer gets the error from its query.
  client.on('error', dead).on('end', dead);
  const sender = new StatementSender(client, isExclusive);
  const ask = (statement: Statement) =>
    sender.send(statement).catch((error: unknown) => {
      throw asPostgresError(error);
    });
  return {
    query: async <Row extends object>(statement: Statement) => (await ask(statement)).rows as Row[],
    run: async (statement) => {
      const { command, count } = await ask(statement);
      return { command, count };
    },
    processId: 0,
    isPooled: false,
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
class StatementSender {
  readonly #client: pg.Client;
  readonly #isExclusive: boolean;
  readonly #prepared: PreparedStatements = new Map();
  #pending: PendingStatement[] = [];

  constructor(client: pg.Client, isExclusive: boolean) {
    this.#client = client;
    this.#isExclusive = isExclusive;
  }

  send(statement: Statement): Promise<StatementResult> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ statement, resolve, reject });
      if (this.#pending.length === 1) process.nextTick(() => this.#sendAll());
    });
  }

  #sendAll(): void {
    const pending = this.#pending;
    this.#pending = [];
    const groups = this.#isExclusive ? [pending] : pending.map((one) => [one]);
    const { stream } = this.#client.connection;
    stream.cork();
    for (const group of groups) this.#client.query(new StatementGroup(group, this.#prepared, parserOf));
    stream.uncork();
  }
}

const asPostgresError = asStoreError;
