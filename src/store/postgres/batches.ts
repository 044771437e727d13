/** The batches of a PostgreSQL database. Each decision about a batch locks its row, so that two servers never decide at the same time. */
import { nextBatchStep, SPENT } from '../../core/decisions/batch.ts';
import {
  type BatchCountRow,
  type BatchRow,
  countsText,
  MEMBER_KEY_MS,
  memberKey,
  progressOf,
  toBatch,
  toMember,
} from '../rows/batch-row.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { toPage } from '../rows/page.ts';
import type { Batch, BatchAdvance, BatchStore } from '../store.ts';
import { refusalOf } from '../transactions/retries.ts';
import type { Connection } from './connections/connection.ts';
import type { Context } from './context.ts';
import { EXECUTION_COLUMNS, EXECUTION_TABLES } from './statements/select-execution.ts';
import { REPLICA_ALIVE } from './statements/select-machine.ts';
import { Batch as Writes } from './writers/batch.ts';
import { flushStatements } from './writers/flush.ts';
import { load } from './writers/load.ts';
import { onBehalf } from './writers/needs.ts';

const SELECT = `SELECT b.id, b.public_id, b.status, b.cancelled::int AS cancelled, b.sealed_request,
  b.max_concurrency, b.max_failures, b.created_by, b.created_at, b.completed_at, b.counts,
  (SELECT r.command FROM batch_members m JOIN requests r ON r.execution_id = m.execution_id
   WHERE m.batch_id = b.id ORDER BY m.position LIMIT 1) AS command FROM batches b`;
/** Batches of the server $1, or of no living server. */
const FREE_FOR = `(b.replica_id IS NULL OR b.replica_id = $1
  OR NOT EXISTS (SELECT 1 FROM replicas r WHERE r.id = b.replica_id AND r.${REPLICA_ALIVE}))`;
/** Reads only the executions of members without an outcome. */
const COUNT = `SELECT b.batch_id AS batch,
    coalesce(b.outcome, (SELECT e.status FROM executions e WHERE e.id = b.execution_id), 'pending') AS status, count(*) AS count
  FROM batch_members b WHERE b.batch_id = ANY($1) GROUP BY 1, 2`;
const OPEN = 'b.batch_id = $1 AND b.outcome IS NULL';
const FIND_MACHINES = "SELECT id, public_id FROM machines WHERE public_id = ANY($1) AND desired_state <> 'destroyed'";
const INSERT = `INSERT INTO batches (public_id, status, sealed_request, max_concurrency, max_failures, created_by, created_at, replica_id)
  VALUES ($1, 'running', $2, $3, $4, $5, $6, $7) RETURNING id`;
const INSERT_MEMBERS = `INSERT INTO batch_members (batch_id, position, machine_id)
  SELECT $1, position - 1, machine FROM unnest($2::bigint[]) WITH ORDINALITY AS t (machine, position)`;
const TAKE_IN = `UPDATE batch_members b SET outcome = coalesce((SELECT e.status FROM executions e WHERE e.id = b.execution_id), 'failed')
  WHERE ${OPEN} AND b.execution_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.id = b.execution_id AND e.completed_at IS NULL)`;
/** Binds the keys of members without an execution to SPENT. Waits for a server that is creating one of the executions. */
const SPEND_KEYS = `INSERT INTO idempotency (api_key, key, digest, resource, expires_at)
  SELECT $2, b.position::text, $3, '${SPENT}', $4 FROM batch_members b WHERE ${OPEN} AND b.execution_id IS NULL ORDER BY 2
  ON CONFLICT (api_key, key) DO NOTHING`;
const NOTE_MADE = `UPDATE batch_members b SET execution_id = e.id FROM idempotency i JOIN executions e ON e.public_id = i.resource
  WHERE ${OPEN} AND b.execution_id IS NULL AND i.api_key = $2 AND i.key = b.position::text`;
const CANCEL_REST = `UPDATE batch_members b SET outcome = 'cancelled' WHERE ${OPEN} AND b.execution_id IS NULL`;
const UNFINISHED = `SELECT m.public_id AS "machineId", e.public_id AS "executionId" FROM batch_members b
  JOIN machines m ON m.id = b.machine_id JOIN executions e ON e.id = b.execution_id WHERE ${OPEN}`;
const NEXT = `SELECT b.position, m.public_id AS "machineId" FROM batch_members b JOIN machines m ON m.id = b.machine_id
  WHERE ${OPEN} AND b.execution_id IS NULL ORDER BY b.position LIMIT $2`;
const LIST_EXECUTIONS = `SELECT b.position, ${EXECUTION_COLUMNS} FROM batch_members b
  JOIN (${EXECUTION_TABLES}) ON e.id = b.execution_id
  WHERE b.batch_id = (SELECT id FROM batches WHERE public_id = $1) AND b.position > $2 ORDER BY b.position LIMIT $3`;
const OF_MEMBER = 'batch_id = (SELECT id FROM batches WHERE public_id = $2) AND position = $3 AND outcome IS NULL';

/** The BatchStore of PostgreSQL. */
export function batchMethods({ read, transactions, replicaId }: Context): BatchStore {
  return {
    createBatch: (p) => transactions.run((connection) => create(connection, p, replicaId())),
    async getBatch({ batchId }) {
      const rows = await read<BatchRow>({ text: `${SELECT} WHERE b.public_id = $1`, values: [batchId] });
      return (await withCounts(read, rows))[0]?.batch;
    },
    async listBatches({ createdBy, limit, after = Number.MAX_SAFE_INTEGER }) {
      const [of, values] = createdBy === undefined ? ['', []] : ['AND b.created_by = $3', [createdBy]];
      const text = `${SELECT} WHERE b.id < $1 ${of} ORDER BY b.id DESC LIMIT $2`;
      const rows = await read<BatchRow>({ text, values: [after, limit + 1, ...values] });
      return toPage(
        await withCounts(read, rows),
        limit,
        ({ key }) => key,
        ({ batch }) => batch,
      );
    },
    async listBatchExecutions({ batchId, limit, after = -1 }) {
      const statement = { text: LIST_EXECUTIONS, values: [batchId, after, limit + 1] };
      const rows = await read<ExecutionRow & { position: number }>(statement);
      return toPage(rows, limit, (row) => row.position, toExecution);
    },
    cancelBatch: (p) => transactions.run((connection) => cancel(connection, p)),
    async listRunningBatches() {
      const text = `SELECT b.public_id AS id FROM batches b WHERE b.status = 'running' AND ${FREE_FOR}`;
      return (await read<{ id: string }>({ text, values: [replicaId()] })).map(({ id }) => id);
    },
    advanceBatch: (p) => transactions.run((connection) => advance(connection, p, replicaId())),
    setBatchMember: ({ batchId, position, result }) =>
      transactions.run(async (connection) => {
        const execution = 'execution_id = (SELECT id FROM executions WHERE public_id = $1)';
        const [set, value] =
          'executionId' in result ? [execution, result.executionId] : ['outcome = $1', result.outcome];
        const text = `UPDATE batch_members SET ${set} WHERE ${OF_MEMBER}`;
        await connection.run({ text, values: [value, batchId, position] });
      }),
    deleteEndedBatches: (p) => transactions.run((connection) => deleteEnded(connection, p)),
  };
}

/** Returns the batches of `rows`, in the same order, with the counts of their machines. */
async function withCounts(read: Context['read'], rows: readonly BatchRow[]): Promise<{ key: number; batch: Batch }[]> {
  const uncounted = rows.filter(({ counts }) => counts === null).map(({ id }) => id);
  const counts =
    uncounted.length === 0 ? [] : await read<BatchCountRow & { batch: number }>({ text: COUNT, values: [uncounted] });
  const ofBatch = Map.groupBy(counts, ({ batch }) => batch);
  return rows.map((row) => ({ key: row.id, batch: toBatch(row, ofBatch.get(row.id) ?? []) }));
}

/** Returns a batch as the transaction sees it. `counts`: of its machines, if they were counted. */
async function found(connection: Connection, row: BatchRow, counts?: readonly BatchCountRow[]): Promise<Batch> {
  const [latest = row] = await connection.query<BatchRow>({ text: `${SELECT} WHERE b.id = $1`, values: [row.id] });
  return toBatch(latest, latest.counts === null ? (counts ?? (await countsOf(connection, row))) : []);
}

function countsOf(connection: Connection, { id }: BatchRow): Promise<BatchCountRow[]> {
  return connection.query<BatchCountRow>({ text: COUNT, values: [[id]] });
}

async function create(
  connection: Connection,
  p: Parameters<BatchStore['createBatch']>[0],
  replicaId: number,
): ReturnType<BatchStore['createBatch']> {
  const { batchId, machineIds, sealedRequest, maxConcurrency, maxFailures, createdBy } = p.batch;
  const writes = new Writes(await load(connection, [onBehalf(p, batchId)]));
  const refusal = refusalOf(writes, p);
  if (refusal !== undefined) return flushed(connection, writes, refusal);
  const machines = await connection.query<{ id: number; public_id: string }>({
    text: FIND_MACHINES,
    values: [machineIds],
  });
  const keys = new Map(machines.map(({ id, public_id: machineId }) => [machineId, id]));
  const missing = machineIds.filter((machineId) => !keys.has(machineId));
  if (missing.length > 0) return flushed(connection, writes, { outcome: 'machine_not_found', machineIds: missing });
  const values = [batchId, sealedRequest, maxConcurrency, maxFailures ?? null, createdBy, p.now, replicaId];
  const [made] = await connection.query<{ id: number }>({ text: INSERT, values });
  const members = machineIds.map((machineId) => keys.get(machineId));
  await connection.run({ text: INSERT_MEMBERS, values: [made?.id, members] });
  writes.bind(p.idempotency, batchId);
  const [row] = await locked(connection, batchId);
  if (row === undefined) throw new Error('a new batch was not found');
  return flushed(connection, writes, { outcome: 'created', batch: await found(connection, row) });
}

async function cancel(
  connection: Connection,
  p: Parameters<BatchStore['cancelBatch']>[0],
): ReturnType<BatchStore['cancelBatch']> {
  const writes = new Writes(await load(connection, [onBehalf(p, p.batchId)]));
  const refusal = refusalOf(writes, p);
  if (refusal !== undefined) return flushed(connection, writes, refusal);
  const [row] = await locked(connection, p.batchId);
  if (row === undefined) return flushed(connection, writes, { outcome: 'not_found' });
  writes.bind(p.idempotency, p.batchId);
  const applies = row.status === 'running' && row.cancelled === 0;
  if (applies) {
    await connection.run({ text: 'UPDATE batches SET cancelled = true WHERE id = $1', values: [row.id] });
    await cancelRest(connection, row, p.now);
  }
  const batch = await found(connection, row);
  return flushed(connection, writes, { outcome: applies ? 'applied' : 'stale', batch });
}

/** Writes the batch of changes, and returns `outcome`. Deletes keys that were inserted on trial and not bound. */
async function flushed<T>(connection: Connection, writes: Writes, outcome: T): Promise<T> {
  await Promise.all(flushStatements(writes).map((statement) => connection.run(statement)));
  return outcome;
}

function locked(connection: Connection, batchId: string): Promise<BatchRow[]> {
  return connection.query<BatchRow>({ text: `${SELECT} WHERE b.public_id = $1 FOR UPDATE`, values: [batchId] });
}

async function advance(
  connection: Connection,
  { batchId, now }: Parameters<BatchStore['advanceBatch']>[0],
  replicaId: number,
): Promise<BatchAdvance | undefined> {
  const [row] = await connection.query<BatchRow>({
    text: `${SELECT} WHERE b.public_id = $2 AND ${FREE_FOR} FOR UPDATE`,
    values: [replicaId, batchId],
  });
  if (row === undefined) return undefined;
  const cancelled = row.cancelled === 1;
  if (row.status !== 'running') return { batch: await found(connection, row), next: [], unfinished: [], cancelled };
  const own = 'UPDATE batches SET replica_id = $1 WHERE id = $2 AND replica_id IS DISTINCT FROM $1';
  await connection.run({ text: own, values: [replicaId, row.id] });
  await connection.run({ text: TAKE_IN, values: [row.id] });
  let step = await stepOf(connection, row);
  if (step.cancelRest) {
    await cancelRest(connection, row, now);
    // An execution that was created and not recorded counts as running.
    step = await stepOf(connection, row);
  }
  const end = 'UPDATE batches SET status = $1, completed_at = $2, sealed_request = NULL, counts = $3 WHERE id = $4';
  if (step.end !== undefined)
    await connection.run({ text: end, values: [step.end, now, countsText(step.counts), row.id] });
  const next = await connection.query<{ position: number; machineId: string }>({
    text: NEXT,
    values: [row.id, step.start],
  });
  return {
    batch: await found(connection, row, step.counts),
    next: next.map((member) => toMember(batchId, member, now)),
    unfinished: step.unfinished,
    cancelled,
    ...(row.sealed_request === null ? {} : { sealedRequest: row.sealed_request }),
  };
}

async function stepOf(connection: Connection, row: BatchRow) {
  const [unfinished, counts] = await Promise.all([
    connection.query<{ machineId: string; executionId: string }>({ text: UNFINISHED, values: [row.id] }),
    countsOf(connection, row),
  ]);
  return { unfinished, counts, ...nextBatchStep(...progressOf(row, counts, unfinished.length)) };
}

async function cancelRest(connection: Connection, { id, public_id: batchId }: BatchRow, now: number): Promise<void> {
  const { apiKeyId, digest } = memberKey(batchId, 0);
  await connection.run({ text: SPEND_KEYS, values: [id, apiKeyId, digest, now + MEMBER_KEY_MS] });
  await connection.run({ text: NOTE_MADE, values: [id, apiKeyId] });
  await connection.run({ text: CANCEL_REST, values: [id] });
}

const ENDED = `${SELECT} WHERE b.completed_at < $1 ORDER BY b.completed_at, b.id LIMIT 1 FOR UPDATE SKIP LOCKED`;
/** Uses an array, which is computed once: a subquery in IN may be run for each row, and its LIMIT applies to each run. */
const DELETE_MEMBERS = `DELETE FROM batch_members WHERE batch_id = $1 AND position = ANY(ARRAY(
  SELECT position FROM batch_members WHERE batch_id = $1 ORDER BY position LIMIT $2))`;

async function deleteEnded(
  connection: Connection,
  { before, limit }: Parameters<BatchStore['deleteEndedBatches']>[0],
): Promise<number> {
  let left = limit;
  while (left > 0) {
    const [row] = await connection.query<BatchRow>({ text: ENDED, values: [before] });
    if (row === undefined) break;
    if (row.counts === null) {
      const values = [countsText(await countsOf(connection, row)), row.id];
      await connection.run({ text: 'UPDATE batches SET counts = $1 WHERE id = $2', values });
    }
    left -= (await connection.run({ text: DELETE_MEMBERS, values: [row.id, left] })).count;
    if (left > 0) left -= (await connection.run({ text: 'DELETE FROM batches WHERE id = $1', values: [row.id] })).count;
  }
  return limit - left;
}
