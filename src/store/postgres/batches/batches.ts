/** The batches of a PostgreSQL database. Each decision about a batch locks its row, so that two servers never decide at the same time. */
import {
  type BatchRow,
  countsText,
  IS_PENDING,
  moveMembers,
  tallyOf,
  tallyText,
  toBatch,
} from '../../rows/batch-row.ts';
import { type ExecutionRow, toExecution } from '../../rows/execution-row.ts';
import { toPage } from '../../rows/page.ts';
import type { Batch, BatchStore } from '../../store.ts';
import { refusalOf } from '../../transactions/retries.ts';
import type { Connection } from '../connections/connection.ts';
import type { Readers } from '../connections/slots.ts';
import type { Transactions } from '../connections/transactions.ts';
import { EXECUTION_COLUMNS, EXECUTION_TABLES } from '../statements/select-execution.ts';
import { Batch as Writes } from '../writers/batch.ts';
import { flushStatements } from '../writers/flush.ts';
import { load } from '../writers/load.ts';
import { onBehalf } from '../writers/needs.ts';
import { advance, cancelRest } from './advance.ts';
import { FREE_FOR, SELECT, SELECT_STEP } from './select-batch.ts';

const FIND_MACHINES = "SELECT id, public_id FROM machines WHERE public_id = ANY($1) AND desired_state <> 'destroyed'";
const INSERT = `INSERT INTO batches (public_id, status, sealed_request, max_concurrency, max_failures, created_by, created_at, replica_id, tally, tally_by)
  VALUES ($1, 'running', $2, $3, $4, $5, $6, $7, $8, $7) RETURNING id`;
const INSERT_MEMBERS = `INSERT INTO batch_members (batch_id, position, machine_id)
  SELECT $1, position - 1, machine FROM unnest($2::bigint[]) WITH ORDINALITY AS t (machine, position)`;
const LIST_EXECUTIONS = `SELECT b.position, ${EXECUTION_COLUMNS} FROM batch_members b
  JOIN (${EXECUTION_TABLES}) ON e.id = b.execution_id
  WHERE b.batch_id = (SELECT id FROM batches WHERE public_id = $1) AND b.position > $2 ORDER BY b.position LIMIT $3`;
const OF_MEMBER = `batch_id = (SELECT id FROM batches WHERE public_id = $2) AND position = $3 AND ${IS_PENDING}`;

interface BatchDatabase {
  read: Readers['query'];
  transactions: Transactions;
  /** The key of this server. */
  replicaId: () => number;
}

/** The BatchStore of PostgreSQL. */
export function batchMethods({ read, transactions, replicaId }: BatchDatabase): BatchStore {
  return {
    createBatch: (p) => transactions.run((connection) => create(connection, p, replicaId())),
    async getBatch({ batchId }) {
      const rows = await read<BatchRow>({ text: `${SELECT} WHERE b.public_id = $1`, values: [batchId] });
      return rows[0] && toBatch(rows[0]);
    },
    async listBatches({ createdBy, limit, after = Number.MAX_SAFE_INTEGER }) {
      const [of, values] = createdBy === undefined ? ['', []] : ['AND b.created_by = $3', [createdBy]];
      const text = `${SELECT} WHERE b.id < $1 ${of} ORDER BY b.id DESC LIMIT $2`;
      const rows = await read<BatchRow>({ text, values: [after, limit + 1, ...values] });
      return toPage(rows, limit, (row) => row.id, toBatch);
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
    setBatchMember: (p) => transactions.run((connection) => setMember(connection, p)),
    deleteEndedBatches: (p) => transactions.run((connection) => deleteEnded(connection, p)),
  };
}

/** Returns a batch as the transaction sees it. */
async function found(connection: Connection, row: BatchRow): Promise<Batch> {
  const [latest = row] = await connection.query<BatchRow>({ text: `${SELECT} WHERE b.id = $1`, values: [row.id] });
  return toBatch(latest);
}

async function setMember(
  connection: Connection,
  { batchId, position, result }: Parameters<BatchStore['setBatchMember']>[0],
): Promise<void> {
  const execution = 'execution_id = (SELECT id FROM executions WHERE public_id = $1)';
  const [set, value, state] =
    'executionId' in result
      ? ([execution, result.executionId, 'unfinished'] as const)
      : (['outcome = $1', result.outcome, result.outcome] as const);
  const update = { text: `UPDATE batch_members SET ${set} WHERE ${OF_MEMBER}`, values: [value, batchId, position] };
  // The lock first: the tally must not change in between.
  const [[row], { count }] = await Promise.all([locked(connection, batchId), connection.run(update)]);
  if (row === undefined || count === 0) return;
  const tally = tallyText(moveMembers(tallyOf(row.tally), 'pending', [state]));
  await connection.run({ text: 'UPDATE batches SET tally = $1 WHERE id = $2', values: [tally, row.id] });
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
  const tally = tallyText({ pending: machineIds.length });
  const [made] = await connection.query<{ id: number }>({ text: INSERT, values: [...values, tally] });
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
    const tally = await cancelRest(connection, row, p.now);
    await connection.run({ text: 'UPDATE batches SET tally = $1 WHERE id = $2', values: [tallyText(tally), row.id] });
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
  return connection.query<BatchRow>({ text: `${SELECT_STEP} WHERE b.public_id = $1 FOR UPDATE`, values: [batchId] });
}

const ENDED = `${SELECT_STEP} WHERE b.completed_at < $1 ORDER BY b.completed_at, b.id LIMIT 1 FOR UPDATE SKIP LOCKED`;
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
      const values = [countsText(tallyOf(row.tally)), row.id];
      await connection.run({ text: 'UPDATE batches SET counts = $1 WHERE id = $2', values });
    }
    left -= (await connection.run({ text: DELETE_MEMBERS, values: [row.id, left] })).count;
    if (left > 0) left -= (await connection.run({ text: 'DELETE FROM batches WHERE id = $1', values: [row.id] })).count;
  }
  return limit - left;
}
