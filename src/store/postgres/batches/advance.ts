/** Steps of a batch: takes in the executions that have ended, and selects the machines whose executions are created next. */
import { type BatchStep, nextBatchStep, SPENT } from '../../../core/decisions/batch.ts';
import type { ExecutionStatus } from '../../../core/execution-status.ts';
import {
  type BatchRow,
  countsText,
  IS_PENDING,
  IS_UNFINISHED,
  MEMBER_KEY_MS,
  memberKey,
  moveMembers,
  progressOf,
  type Tally,
  tallyOf,
  tallyText,
  toMember,
} from '../../rows/batch-row.ts';
import type { Batch, BatchAdvance, BatchMember, BatchStore } from '../../store.ts';
import type { Connection } from '../connections/connection.ts';
import { COUNT, FREE_FOR, SELECT_STEP } from './select-batch.ts';

const PENDING = `b.batch_id = $1 AND ${IS_PENDING}`;
const OF_UNFINISHED = `b.batch_id = $1 AND ${IS_UNFINISHED}`;
const TAKE_IN = `UPDATE batch_members b SET outcome = coalesce((SELECT e.status FROM executions e WHERE e.id = b.execution_id), 'failed')
  WHERE ${OF_UNFINISHED} AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.id = b.execution_id AND e.completed_at IS NULL)
  RETURNING outcome`;
const TAKE_IN_AMONG = `UPDATE batch_members b SET outcome = e.status FROM executions e
  WHERE ${OF_UNFINISHED} AND execution_id = e.id AND e.public_id = ANY($2) AND e.completed_at IS NOT NULL RETURNING outcome`;
const SET_TALLY = `UPDATE batches SET tally = $1, replica_id = $2, tally_by = $2
  WHERE id = $3 AND (tally, replica_id, tally_by) IS DISTINCT FROM ($1, $2, $2)`;
/** Binds the keys of members without an execution to SPENT. Waits for a server that is creating one of the executions. */
const SPEND_KEYS = `INSERT INTO idempotency (api_key, key, digest, resource, expires_at)
  SELECT $2, b.position::text, $3, '${SPENT}', $4 FROM batch_members b WHERE ${PENDING} ORDER BY 2
  ON CONFLICT (api_key, key) DO NOTHING`;
const NOTE_MADE = `UPDATE batch_members b SET execution_id = e.id FROM idempotency i JOIN executions e ON e.public_id = i.resource
  WHERE ${PENDING} AND i.api_key = $2 AND i.key = b.position::text`;
const CANCEL_REST = `UPDATE batch_members b SET outcome = 'cancelled' WHERE ${PENDING}`;
const LIST_UNFINISHED = `SELECT m.public_id AS "machineId", e.public_id AS "executionId" FROM batch_members b
  JOIN machines m ON m.id = b.machine_id JOIN executions e ON e.id = b.execution_id WHERE ${OF_UNFINISHED}`;
const NEXT = `SELECT b.position, m.public_id AS "machineId" FROM batch_members b JOIN machines m ON m.id = b.machine_id
  WHERE ${PENDING} ORDER BY b.position LIMIT $2`;

type AdvanceQuery = Parameters<BatchStore['advanceBatch']>[0];

/** See BatchStore. */
export async function advance(
  connection: Connection,
  { batchId, among, now }: AdvanceQuery,
  replicaId: number,
): Promise<BatchAdvance | undefined> {
  const [row] = await connection.query<BatchRow>({
    text: `${SELECT_STEP} WHERE b.public_id = $2 AND ${FREE_FOR} FOR UPDATE`,
    values: [replicaId, batchId],
  });
  if (row === undefined) return undefined;
  const cancelled = row.cancelled === 1;
  const batch = { batchId, status: row.status as Batch['status'], createdBy: row.created_by };
  if (row.status !== 'running') return { batch, next: [], unfinished: [], cancelled };
  const { tally, step, next, unfinished } = await stepOf(connection, row, { among, now });
  await connection.run({ text: SET_TALLY, values: [tallyText(tally), replicaId, row.id] });
  if (step.end !== undefined) {
    const text = 'UPDATE batches SET status = $1, completed_at = $2, sealed_request = NULL, counts = $3 WHERE id = $4';
    await connection.run({ text, values: [step.end, now, countsText(tally), row.id] });
  }
  return {
    batch: { ...batch, status: step.end ?? 'running' },
    next: next.map((member) => toMember(batchId, member, now)),
    unfinished: unfinished ?? [],
    cancelled,
    ...(row.sealed_request === null ? {} : { sealedRequest: row.sealed_request }),
  };
}

interface Step {
  tally: Tally;
  step: BatchStep;
  next: Pick<BatchMember, 'position' | 'machineId'>[];
  /** Undefined if the step is for some executions only. */
  unfinished: BatchAdvance['unfinished'] | undefined;
}

/** Takes in the executions that have ended, and decides the next step. */
async function stepOf(
  connection: Connection,
  row: BatchRow,
  { among, now }: Pick<AdvanceQuery, 'now'> & { among: AdvanceQuery['among'] | undefined },
): Promise<Step> {
  const takeIn =
    among === undefined ? { text: TAKE_IN, values: [row.id] } : { text: TAKE_IN_AMONG, values: [row.id, among] };
  const ended = await connection.query<{ outcome: ExecutionStatus }>(takeIn);
  const outcomes = ended.map(({ outcome }) => outcome);
  const taken = moveMembers(tallyOf(row.tally), 'unfinished', outcomes);
  const { cancelRest: cancels } = nextBatchStep(...progressOf(row, taken));
  const tally = cancels && (taken.pending ?? 0) > 0 ? await cancelRest(connection, row, now) : taken;
  const step = await plan(connection, row, { among, tally });
  return isConsistent(step) ? step : plan(connection, row, { among, tally: await count(connection, row) });
}

async function plan(
  connection: Connection,
  row: BatchRow,
  { among, tally }: { among: AdvanceQuery['among'] | undefined; tally: Tally },
): Promise<Step> {
  const step = nextBatchStep(...progressOf(row, tally));
  const [next, unfinished] = await Promise.all([
    step.start === 0 ? [] : connection.query<Step['next'][number]>({ text: NEXT, values: [row.id, step.start] }),
    among === undefined
      ? connection.query<BatchAdvance['unfinished'][number]>({ text: LIST_UNFINISHED, values: [row.id] })
      : undefined,
  ]);
  return { tally, step, next, unfinished };
}

/** Whether a tally agrees with the machines. An older server, which keeps none, may have written late, after this one took the batch over. */
function isConsistent({ tally, step, next, unfinished }: Step): boolean {
  const { unfinished: counted = 0 } = tally;
  return next.length === step.start && (unfinished === undefined ? counted >= 0 : counted === unfinished.length);
}

async function count(connection: Connection, { id }: BatchRow): Promise<Tally> {
  const text = `SELECT ${COUNT} AS tally FROM batches b WHERE b.id = $1`;
  const [row] = await connection.query<Pick<BatchRow, 'tally'>>({ text, values: [id] });
  return tallyOf(row?.tally ?? null);
}

/** Ends the creation of executions. Returns the tally afterwards: executions that were created and not recorded count as unfinished. */
export async function cancelRest(connection: Connection, row: BatchRow, now: number): Promise<Tally> {
  const { id, public_id: batchId } = row;
  const { apiKeyId, digest } = memberKey(batchId, 0);
  await connection.run({ text: SPEND_KEYS, values: [id, apiKeyId, digest, now + MEMBER_KEY_MS] });
  await connection.run({ text: NOTE_MADE, values: [id, apiKeyId] });
  await connection.run({ text: CANCEL_REST, values: [id] });
  return count(connection, row);
}
