/** The ClusterStore of PostgreSQL: living servers, owners of machines, orders and hints. */
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import type { ClusterStore, Order, ReceivedOrder } from '../store.ts';
import type { Context } from './context.ts';
import { HintBus } from './connections/hint-bus.ts';
import { REPLICA_ALIVE } from './statements/select-machine.ts';
import type { Replica } from './cluster/replica.ts';
import { SELECT_EXECUTION } from './statements/select-execution.ts';
import type { Statement } from './connections/statement-group.ts';
import type { DatabaseAddress } from './connections/url.ts';

/** Time after which orders are deleted whose answers were not read. */
const KEEP_ORDERS = "interval '2 minutes'";

/** SQL for the time of the database, ms since the epoch. */
const CLOCK = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint';
const TAKE_DUTY = `INSERT INTO duties (name, due_at) VALUES ($1, ${CLOCK} + $2::bigint)
  ON CONFLICT (name) DO UPDATE SET due_at = EXCLUDED.due_at WHERE duties.due_at <= ${CLOCK}`;

interface InboxRow {
  id: number;
  machine_public_id: string;
  kind: string;
  body: string;
  payload: Buffer | null;
  /** ms since the epoch. */
  created: number;
}

/** The ClusterStore of PostgreSQL. `address`: for separate connections, since LISTEN needs a permanent one. */
export function clusterMethods(context: Context, replica: Replica, address: DatabaseAddress): ClusterStore {
  const bus = new HintBus(address);
  return {
    ...ownershipMethods(context, replica),
    ...orderMethods(context, replica),
    get replicaId() {
      return replica.id;
    },
    async heartbeat({ draining, address: own }) {
      const { alive, ...beat } = await replica.beat({ draining, address: own });
      return { outcome: alive ? 'alive' : 'reaped', ...beat };
    },
    async leave() {
      await bus.close();
      await replica.stop();
    },
    async claimKey({ fingerprint }) {
      const text = `UPDATE cluster SET key_fingerprint = $1 WHERE key_fingerprint IS NULL OR key_fingerprint = $1`;
      const { count } = await context.transactions.run((connection) => connection.run({ text, values: [fingerprint] }));
      return count === 1;
    },
    async sealedSecrets() {
      const [row] = await context.read<{ sealed: Buffer | null }>({
        text: 'SELECT sealed_secrets AS sealed FROM cluster',
      });
      return row?.sealed ?? undefined;
    },
    takeDuty: ({ name, intervalMs }) =>
      context.transactions.poll(async (connection) => {
        const { count } = await connection.run({ text: TAKE_DUTY, values: [name, intervalMs] });
        return count === 1;
      }),
    hint: (hints) => bus.send(hints),
    listen: (listener) => bus.listen(listener),
  };
}

type Ownership = 'countConnections' | 'connectionsHeld' | 'machinesWithWork' | 'cancelsPending' | 'getExecutions';

function ownershipMethods({ read }: Context, replica: Replica): Pick<ClusterStore, Ownership> {
  return {
    async countConnections() {
      const text = 'SELECT count(*) AS count FROM machines WHERE owner IS NOT NULL';
      const [row] = await read<{ count: number }>({ text });
      return row?.count ?? 0;
    },
    connectionsHeld: () => {
      const text = 'SELECT public_id AS "machineId", epoch FROM machines WHERE owner = $1';
      return read<{ machineId: string; epoch: number }>({ name: 'held', text, values: [replica.id] });
    },
    machinesWithWork: async () => {
      const text = 'SELECT public_id FROM machines WHERE owner = $1 AND waiting > 0';
      const rows = await read<{ public_id: string }>({ name: 'with-work', text, values: [replica.id] });
      return rows.map(({ public_id: machineId }) => machineId);
    },
    cancelsPending: () => {
      const text = `SELECT m.public_id AS "machineId", e.public_id AS "executionId" FROM machines m
        JOIN executions e ON e.machine_id = m.id
        WHERE m.owner = $1 AND e.dispatched_to IS NOT NULL AND e.completed_at IS NULL AND e.cancel_requested_at IS NOT NULL`;
      return read<{ machineId: string; executionId: string }>({ name: 'cancels', text, values: [replica.id] });
    },
    getExecutions: async ({ executionIds }) => {
      const text = `${SELECT_EXECUTION} WHERE e.public_id = ANY($1)`;
      return (await read<ExecutionRow>({ name: 'by-public-id', text, values: [executionIds] })).map(toExecution);
    },
  };
}

type Orders = 'sendOrder' | 'sendToAll' | 'takeOrders' | 'answerOrder' | 'withdrawOrder' | 'takeAnswers';

function orderMethods(context: Context, replica: Replica): Pick<ClusterStore, Orders> {
  const { transactions, read } = context;
  return {
    sendOrder: async (order) => {
      const [row] = await insertOrder(context, order, 'm.owner = r.id', []);
      return row && { orderId: row.id, replicaId: row.replica_id };
    },
    sendToAll: async (order) => {
      const rows = await insertOrder(context, order, 'r.id <> $5', [replica.id]);
      return rows.map(({ replica_id: replicaId }) => replicaId);
    },
    takeOrders: async ({ known }) => {
      const text = `UPDATE inbox SET taken = true WHERE replica_id = $1 AND reply IS NULL AND id <> ALL($2::bigint[])
        RETURNING id, machine_public_id, kind, body, payload, extract(epoch FROM created_at)::float8 * 1000 AS created`;
      const rows = await transactions.once<InboxRow>({ name: 'take-orders', text, values: [replica.id, known] });
      return rows.toSorted((a, b) => a.created - b.created).map(toOrder);
    },
    answerOrder: async ({ orderId, answer }) => {
      const text = `WITH old AS (DELETE FROM inbox WHERE created_at < clock_timestamp() - ${KEEP_ORDERS})
        UPDATE inbox SET reply = $1, payload = NULL WHERE id = $2`;
      await transactions.once({ name: 'answer-order', text, values: [JSON.stringify(answer), orderId] });
    },
    withdrawOrder: async ({ orderId }) => {
      const text = 'DELETE FROM inbox WHERE id = $1 AND NOT taken RETURNING id';
      return (await transactions.once({ name: 'withdraw-order', text, values: [orderId] })).length > 0;
    },
    takeAnswers: async ({ orderIds }) => {
      const text = `SELECT asked.id, i.reply FROM unnest($1::bigint[]) AS asked (id) LEFT JOIN inbox i USING (id)
        WHERE i.id IS NULL OR i.reply IS NOT NULL`;
      const rows = await read<{ id: number; reply: string | null }>({ name: 'answers', text, values: [orderIds] });
      const answered = rows.filter(({ reply }) => reply !== null).map(({ id }) => id);
      // A row that is not deleted here is deleted when it is old.
      if (answered.length > 0) await transactions.once(deletionOf(answered)).catch(() => undefined);
      return rows.map(({ id: orderId, reply }) =>
        reply === null ? { orderId } : { orderId, answer: JSON.parse(reply) as unknown },
      );
    },
  };
}

function deletionOf(orderIds: readonly number[]): Statement {
  return { name: 'delete-orders', text: 'DELETE FROM inbox WHERE id = ANY($1::bigint[])', values: [orderIds] };
}

/** Inserts the order for each living server `r` that `condition` selects for the machine `m`. */
async function insertOrder({ transactions }: Context, order: Order, condition: string, more: unknown[]) {
  const { machineId, kind, body, payload } = order;
  const text = `INSERT INTO inbox (replica_id, machine_public_id, epoch, kind, body, payload)
    SELECT r.id, m.public_id, m.epoch, $2, $3, $4 FROM machines m CROSS JOIN replicas r
    WHERE m.public_id = $1 AND ${condition} AND r.${REPLICA_ALIVE} RETURNING id, replica_id`;
  const values = [machineId, kind, JSON.stringify(body), payload ?? null, ...more];
  return transactions.run((connection) => connection.query<{ id: number; replica_id: number }>({ text, values }));
}

function toOrder({ id, machine_public_id: machineId, kind, body, payload }: InboxRow): ReceivedOrder {
  const bytes = payload === null ? {} : { payload };
  return { orderId: id, machineId, kind, body: JSON.parse(body) as unknown, ...bytes };
}
