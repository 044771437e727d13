/** Batches in SQLite. */
import { type BatchStatus, nextBatchStep } from '../../core/decisions/batch.ts';
import type { ExecutionStatus } from '../../core/execution-status.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { toPage } from '../rows/page.ts';
import type { Batch, BatchAdvance, BatchStore, Store } from '../store.ts';
import { refusalOf } from '../transactions/retries.ts';
import { type Context, read } from './context.ts';
import type { Database } from './database.ts';
import { SELECT_EXECUTION } from './select-execution.ts';

interface BatchRow {
  batch: number;
  batch_id: string;
  status: string;
  cancelled: number;
  sealed_request: Buffer | null;
  max_concurrency: number;
  max_failures: number | null;
  created_by: string;
  created_at: number;
  completed_at: number | null;
}
interface CountRow {
  status: ExecutionStatus | 'pending';
  count: number;
}

const NEWEST = Number.MAX_SAFE_INTEGER;
const OPEN = 'FROM batch_members b WHERE b.batch = ? AND b.outcome IS NULL';

/** The statements, made once. */
function prepare(db: Database) {
  return {
    find: db.prepare<[string], BatchRow>('SELECT * FROM batches WHERE batch_id = ?'),
    list: db.prepare<[number, number], BatchRow>('SELECT * FROM batches WHERE batch < ? ORDER BY batch DESC LIMIT ?'),
    listOf: db.prepare<[string, number, number], BatchRow>(
      'SELECT * FROM batches WHERE +created_by = ? AND batch < ? ORDER BY batch DESC LIMIT ?',
    ),
    running: db.prepare<[], string>("SELECT batch_id FROM batches WHERE status = 'running'").pluck(),
    machine: db
      .prepare<[string], number>("SELECT machine FROM machines WHERE machine_id = ? AND desired_state <> 'destroyed'")
      .pluck(),
    insert: db.prepare(
      `INSERT INTO batches (batch_id, status, sealed_request, max_concurrency, max_failures, created_by, created_at)
       VALUES (?, 'running', ?, ?, ?, ?, ?)`,
    ),
    insertMember: db.prepare('INSERT INTO batch_members (batch, position, machine) VALUES (?, ?, ?)'),
    counts: db.prepare<[number], CountRow>(
      `SELECT coalesce(b.outcome, e.status, 'pending') AS status, count(*) AS count
       FROM batch_members b LEFT JOIN executions e ON e.execution = b.execution WHERE b.batch = ? GROUP BY 1`,
    ),
    takeIn: db.prepare(
      `UPDATE batch_members SET outcome =
         (SELECT status FROM executions e WHERE e.execution = batch_members.execution AND e.completed_at IS NOT NULL)
       WHERE batch = ? AND outcome IS NULL AND execution IS NOT NULL`,
    ),
    cancelRest: db.prepare(
      "UPDATE batch_members SET outcome = 'cancelled' WHERE batch = ? AND outcome IS NULL AND execution IS NULL",
    ),
    next: db.prepare<[number, number], { position: number; machineId: string }>(
      `SELECT b.position, (SELECT machine_id FROM machines m WHERE m.machine = b.machine) AS machineId
       ${OPEN} AND b.execution IS NULL ORDER BY b.position LIMIT ?`,
    ),
    unfinished: db.prepare<[number], { machineId: string; executionId: string }>(
      `SELECT (SELECT machine_id FROM machines m WHERE m.machine = b.machine) AS machineId,
         (SELECT execution_id FROM executions e WHERE e.execution = b.execution) AS executionId
       ${OPEN} AND b.execution IS NOT NULL`,
    ),
    executions: db.prepare<[number, number, number], ExecutionRow & { position: number }>(
      `${SELECT_EXECUTION.replace('SELECT ', 'SELECT b.position, ').replace('FROM executions e', 'FROM batch_members b CROSS JOIN executions e ON e.execution = b.execution')}
       WHERE b.batch = ? AND b.position > ? ORDER BY b.position LIMIT ?`,
    ),
    end: db.prepare('UPDATE batches SET status = ?, completed_at = ?, sealed_request = NULL WHERE batch = ?'),
    cancel: db.prepare('UPDATE batches SET cancelled = 1 WHERE batch = ?'),
    setExecution: db.prepare(
      `UPDATE batch_members SET execution = (SELECT execution FROM executions WHERE execution_id = ?)
       WHERE batch = ? AND position = ?`,
    ),
    setOutcome: db.prepare('UPDATE batch_members SET outcome = ? WHERE batch = ? AND position = ?'),
  };
}

/** The batches of the store. */
export function batchMethods({ db, write, tx }: Context): BatchStore {
  const statements = prepare(db);

  function toBatch(row: BatchRow): Batch {
    const counts = statements.counts.all(row.batch).map(({ status, count }) => [status, count] as const);
    return {
      batchId: row.batch_id,
      status: row.status as BatchStatus,
      counts: Object.fromEntries(counts),
      maxConcurrency: row.max_concurrency,
      ...(row.max_failures === null ? {} : { maxFailures: row.max_failures }),
      createdBy: row.created_by,
      createdAt: row.created_at,
      ...(row.completed_at === null ? {} : { completedAt: row.completed_at }),
    };
  }

  function found(batchId: string): Batch | undefined {
    const row = statements.find.get(batchId);
    return row && toBatch(row);
  }

  function create(p: Parameters<Store['createBatch']>[0]): Awaited<ReturnType<Store['createBatch']>> {
    const refusal = refusalOf(tx, p);
    if (refusal !== undefined) return refusal;
    const { batchId, machineIds, sealedRequest, maxConcurrency, maxFailures = null, createdBy } = p.batch;
    const keys = machineIds.map((machineId) => statements.machine.get(machineId));
    const missing = machineIds.filter((_, position) => keys[position] === undefined);
    if (missing.length > 0) return { outcome: 'machine_not_found', machineIds: missing };
    const { lastInsertRowid } = statements.insert.run(
      batchId,
      sealedRequest,
      maxConcurrency,
      maxFailures,
      createdBy,
      p.now,
    );
    keys.forEach((machine, position) => void statements.insertMember.run(lastInsertRowid, position, machine));
    tx.bind(p.idempotency, batchId);
    return { outcome: 'created', batch: found(batchId) as Batch };
  }

  function cancel(p: Parameters<Store['cancelBatch']>[0]): Awaited<ReturnType<Store['cancelBatch']>> {
    const refusal = refusalOf(tx, p);
    if (refusal !== undefined) return refusal;
    const row = statements.find.get(p.batchId);
    if (row === undefined) return { outcome: 'not_found' };
    tx.bind(p.idempotency, p.batchId);
    if (row.status !== 'running' || row.cancelled === 1) return { outcome: 'stale', batch: toBatch(row) };
    statements.cancel.run(row.batch);
    statements.cancelRest.run(row.batch);
    return { outcome: 'applied', batch: toBatch(row) };
  }

  function advance({ batchId, now }: Parameters<Store['advanceBatch']>[0]): BatchAdvance | undefined {
    const row = statements.find.get(batchId);
    if (row === undefined) return undefined;
    const cancelled = row.cancelled === 1;
    if (row.status !== 'running') return { batch: toBatch(row), next: [], unfinished: [], cancelled };
    statements.takeIn.run(row.batch);
    const unfinished = statements.unfinished.all(row.batch);
    const { counts } = toBatch(row);
    const { pending = 0, succeeded = 0, failed = 0, expired = 0, cancelled: ended = 0 } = counts;
    const progress = { pending, unfinished: unfinished.length, succeeded, failed: failed + expired + ended };
    const limits = { maxConcurrency: row.max_concurrency, cancelled };
    const step = nextBatchStep(
      progress,
      row.max_failures === null ? limits : { ...limits, maxFailures: row.max_failures },
    );
    if (step.cancelRest) statements.cancelRest.run(row.batch);
    if (step.end !== undefined) statements.end.run(step.end, now, row.batch);
    const next = step.start === 0 ? [] : statements.next.all(row.batch, step.start);
    const batch = found(batchId) as Batch;
    return {
      batch,
      next,
      unfinished,
      cancelled,
      ...(row.sealed_request === null ? {} : { sealedRequest: row.sealed_request }),
    };
  }

  return {
    createBatch: (p) => write(() => create(p), p.batch.sealedRequest.length),
    getBatch: ({ batchId }) => read(() => found(batchId)),
    listBatches: ({ createdBy, limit, after = NEWEST }) =>
      read(() => {
        const rows =
          createdBy === undefined
            ? statements.list.all(after, limit + 1)
            : statements.listOf.all(createdBy, after, limit + 1);
        return toPage(rows, limit, (row) => row.batch, toBatch);
      }),
    listBatchExecutions: ({ batchId, limit, after = -1 }) =>
      read(() => {
        const key = statements.find.get(batchId)?.batch ?? 0;
        return toPage(statements.executions.all(key, after, limit + 1), limit, (row) => row.position, toExecution);
      }),
    cancelBatch: (p) => write(() => cancel(p)),
    listRunningBatches: () => read(() => statements.running.all()),
    advanceBatch: (p) => write(() => advance(p)),
    setBatchMember: ({ batchId, position, result }) =>
      write(() => {
        const key = statements.find.get(batchId)?.batch ?? 0;
        if ('executionId' in result) statements.setExecution.run(result.executionId, key, position);
        else statements.setOutcome.run(result.outcome, key, position);
      }),
  };
}
