/**
 * This server's row among the replicas of the cluster: a heartbeat by the database's clock. A server without a heartbeat for too long is
 * declared dead by any other, which frees its machines.
 */
import { randomUUID } from 'node:crypto';
import { type Heartbeat, StoreUnavailableError } from '../../store.ts';
import { advanceMachine } from '../../transactions/machines.ts';
import type { Connection } from '../connections/connection.ts';
import type { Transactions } from '../connections/transactions.ts';
import { HISTORY } from '../statements/history.ts';
import { REPLICA_ALIVE, REPLICA_DEAD_AFTER_MS } from '../statements/select-machine.ts';
import { Batch } from '../writers/batch.ts';
import { flushStatements } from '../writers/flush.ts';
import { load } from '../writers/load.ts';

/** Time for which receipts of commits are kept. They are read within seconds of the commit. */
const KEEP_RECEIPTS = "interval '1 hour'";

export interface ReplicaOptions {
  transactions: Transactions;
  version: string;
  /** ms since the epoch. Absent: the clock of the database, since that of a server may be hours off. */
  now?: (() => number) | undefined;
}

/** ms since the epoch, of the database. */
const CLOCK = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/** This server's row in the table of replicas. Owns the heartbeat's timer. */
export class Replica {
  readonly #options: ReplicaOptions;
  #id = 0;
  /** Tells its row from one that another server got under the same id after the database had lost commits. */
  #instance = '';

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  /** The server's id in the table of replicas. It changes when this server was declared dead. */
  get id(): number {
    return this.#id;
  }

  /** Registers this server. From then on the other servers expect its heartbeats. */
  async start(): Promise<void> {
    await this.#options.transactions.run((connection) => this.#register(connection));
  }

  /** Frees the machines of this server and removes its row. */
  async stop(): Promise<void> {
    await this.#options.transactions
      .run(async (connection) => {
        const text = 'SELECT FROM replicas WHERE id = $1 AND instance = $2';
        const isOurs = (await connection.query({ text, values: [this.#id, this.#instance] })).length > 0;
        if (isOurs) await release(connection, [this.#id], await this.#clock(connection));
      })
      .catch((error: unknown) => {
        // Its row expires, and another server removes it.
        if (!(error instanceof StoreUnavailableError)) throw error;
      });
  }

  /**
   * Sends a heartbeat, and frees the machines of servers without heartbeats. `alive`: this server was not declared dead; otherwise it has
   * registered again. `live`: number of servers that share the load. Rejects with StoreUnavailableError.
   */
  async beat({ draining, address }: { draining: boolean; address: string | undefined }): Promise<BeatResult> {
    const { transactions, now } = this.#options;
    const values = [this.#id, draining, now?.() ?? null, REPLICA_DEAD_AFTER_MS, address ?? null, this.#instance];
    const [clockOffsetMs, [beat]] = await Promise.all([
      clockOffset(transactions),
      transactions.once<Beat>({ name: 'beat', text: BEAT, values }),
    ]);
    const isAlive = beat?.is_alive === true;
    if (!isAlive) await transactions.poll((connection) => this.#register(connection));
    if (beat?.is_other_dead === true) {
      await transactions.run(async (connection) => reap(connection, await this.#clock(connection)));
    }
    const live = (beat?.live ?? 0) + (isAlive || draining ? 0 : 1);
    const others = (beat?.others ?? []).map(({ id, url }) => ({
      replicaId: id,
      ...(url !== null && { address: url }),
    }));
    return { alive: isAlive, live, isAlone: isAlive && beat.is_alone, others, clockOffsetMs };
  }

  async #register(connection: Connection): Promise<void> {
    const { version } = this.#options;
    const now = await this.#clock(connection);
    const first = `INSERT INTO cluster (accepting_since, last_tick) VALUES ($1, $1) ON CONFLICT DO NOTHING`;
    await connection.run({ text: first, values: [now] });
    await connection.run({ text: TICK, values: [now, REPLICA_DEAD_AFTER_MS] });
    const old = `DELETE FROM commit_receipts WHERE at < clock_timestamp() - ${KEEP_RECEIPTS}`;
    await connection.run({ text: old });
    const instance = randomUUID();
    const text = 'INSERT INTO replicas (version, instance) VALUES ($1, $2) RETURNING id';
    const [row] = await connection.query<{ id: number }>({ text, values: [version, instance] });
    this.#id = row?.id ?? 0;
    this.#instance = instance;
  }

  async #clock(connection: Connection): Promise<number> {
    const { now } = this.#options;
    if (now !== undefined) return now();
    const [row] = await connection.query<{ clock: number }>({ text: `SELECT ${CLOCK} AS clock` });
    return row?.clock ?? 0;
  }
}

type BeatResult = Omit<Heartbeat, 'outcome'> & { alive: boolean };

interface Beat {
  is_alive: boolean;
  live: number;
  is_alone: boolean;
  others: { id: number; url: string | null }[] | null;
  is_other_dead: boolean;
}

/** The database's clock minus performance.now(), ms. */
async function clockOffset(transactions: Transactions): Promise<number> {
  const askedAt = performance.now();
  const [row] = await transactions.once<{ clock: number }>({ name: 'clock', text: `SELECT ${CLOCK} AS clock` });
  if (row === undefined) throw new Error('the database has no clock');
  return row.clock - (askedAt + performance.now()) / 2;
}

/** SQL that records a heartbeat of any server. After a gap the offline time counts anew: without a server no agent could reconnect. */
const tick = (now: string, gapMs: string): string => `UPDATE cluster
  SET accepting_since = CASE WHEN ${now} - last_tick > ${gapMs} THEN ${now} ELSE accepting_since END,
    last_tick = greatest(last_tick, ${now}), history = ${HISTORY},
    history_since = CASE history WHEN ${HISTORY} THEN history_since ELSE ${now} END`;
const TICK = tick('$1::bigint', '$2::bigint');
/** The heartbeat in one statement, because several slow ones could exceed the time after which a server counts as dead. It counts the rows from before. */
const BEAT = `WITH beat AS (
    UPDATE replicas SET heartbeat_at = clock_timestamp(), draining = $2::boolean, url = $5 WHERE id = $1 AND instance = $6 RETURNING id),
  tick AS (${tick(`coalesce($3::bigint, ${CLOCK})`, '$4::bigint')})
  SELECT EXISTS (SELECT 1 FROM beat) AS is_alive,
    count(*) FILTER (WHERE CASE id WHEN $1 THEN NOT $2::boolean ELSE ${REPLICA_ALIVE} AND NOT draining END) AS live,
    count(*) = 1 AS is_alone,
    json_agg(json_build_object('id', id, 'url', url)) FILTER (WHERE id <> $1 AND ${REPLICA_ALIVE}) AS others,
    coalesce(bool_or(id <> $1 AND NOT ${REPLICA_ALIVE}), false) AS is_other_dead
  FROM replicas`;

/** Frees the machines of dead servers, except for servers whose machines are being freed by another one. */
async function reap(connection: Connection, now: number): Promise<void> {
  const text = `SELECT id FROM replicas WHERE heartbeat_at < clock_timestamp() - $1 * interval '1 ms'
    FOR UPDATE SKIP LOCKED`;
  const dead = await connection.query<{ id: number }>({ text, values: [REPLICA_DEAD_AFTER_MS] });
  if (dead.length > 0)
    await release(
      connection,
      dead.map(({ id }) => id),
      now,
    );
}

/**
 * Marks the machines of servers as offline under a new epoch, so that later writes of those servers are stale. Their hooks run again under
 * the same operation ids.
 */
async function release(connection: Connection, replicaIds: readonly number[], now: number): Promise<void> {
  const text = `SELECT public_id AS machine FROM machines WHERE owner = ANY($1)
    UNION SELECT m.public_id FROM machines m JOIN machine_operations o ON o.machine_id = m.id WHERE o.replica_id = ANY($1)`;
  const held = await connection.query<{ machine: string }>({ text, values: [replicaIds] });
  const batch = new Batch(await load(connection, [{ machines: held.map(({ machine }) => machine) }]));
  for (const { record, row } of batch.machines.touched.values()) {
    if (row?.operator != null && replicaIds.includes(row.operator)) {
      advanceMachine(batch.machines, record, { type: 'operation_interrupted' }, { now });
    }
    if (row?.owner == null || !replicaIds.includes(row.owner)) continue;
    advanceMachine(batch.machines, record, { type: 'agent_disconnected' }, { now });
    const { key, machine } = record;
    batch.machines.save({ key, machine: { ...machine, epoch: machine.epoch + 1 } });
  }
  await Promise.all(flushStatements(batch).map((statement) => connection.run(statement)));
  await connection.run({ text: 'DELETE FROM replicas WHERE id = ANY($1)', values: [replicaIds] });
}
