/** The batches of an SQLite database. */
import { nextBatchStep, SPENT } from '../../core/decisions/batch.ts';
import {
  type BatchCountRow,
  type BatchRow,
  countsText,
  memberKey,
  MEMBER_KEY_MS,
  progressOf,
  toBatch,
  toMember,
} from '../rows/batch-row.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { toPage } from '../rows/page.ts';
import type { Batch, BatchAdvance, BatchStore, Execution, Page } from '../store.ts';
import { refusalOf } from '../transactions/retries.ts';
import { type Context, read } from './tables/context.ts';
import type { Database } from './file/database.ts';
import { SELECT_EXECUTION } from './tables/select-execution.ts';

const NEWEST = Number.MAX_SAFE_INTEGER;
const SELECT = `SELECT b.*, (SELECT r.command FROM batch_members m CROSS JOIN requests r ON r.execution_id = m.execution_id
  WHERE m.batch_id = b.id ORDER BY m.position LIMIT 1) AS command FROM batches b`;
const OPEN = 'FROM batch_members b WHERE b.batch_id = ? AND b.outcome IS NULL';

/** The statements, made once. */
function prepare(db: Database) {
  return {
    find: db.prepare<[string], BatchRow>(`${SELECT} WHERE b.public_id = ?`),
    list: db.prepare<[number, number], BatchRow>(`${SELECT} WHERE b.id < ? ORDER BY b.id DESC LIMIT ?`),
    listOf: db.prepare<[string, number, number], BatchRow>(
      `${SELECT} WHERE b.created_by = ? AND b.id < ? ORDER BY b.id DESC LIMIT ?`,
    ),
    running: db.prepare<[], string>("SELECT public_id FROM batches WHERE status = 'running'").pluck(),
    machine: db
      .prepare<[string], number>("SELECT id FROM machines WHERE public_id = ? AND desired_state <> 'destroyed'")
      .pluck(),
    insert: db.prepare(
      `INSERT INTO batches (public_id, status, sealed_request, max_concurrency, max_failures, created_by, created_at)
       VALUES (?, 'running', ?, ?, ?, ?, ?)`,
    ),
    insertMember: db.prepare('INSERT INTO batch_members (batch_id, position, machine_id) VALUES (?, ?, ?)'),
    // Only the executions of members without an outcome are read.
    counts: db.prepare<[number], BatchCountRow>(
      `SELECT coalesce(b.outcome, (SELECT e.status FROM executions e WHERE e.id = b.execution_id), 'pending') AS status,
         count(*) AS count FROM batch_members b WHERE b.batch_id = ? GROUP BY 1`,
    ),
    takeIn: db.prepare(
      `UPDATE batch_members SET outcome =
         coalesce((SELECT status FROM executions e WHERE e.id = batch_members.execution_id), 'failed')
       WHERE batch_id = ? AND outcome IS NULL AND execution_id IS NOT NULL AND NOT EXISTS
         (SELECT 1 FROM executions e WHERE e.id = batch_members.execution_id AND e.completed_at IS NULL)`,
    ),
    pending: db
      .prepare<[number], number>(`SELECT b.position ${OPEN} AND b.execution_id IS NULL ORDER BY b.position`)
      .pluck(),
    spend: db.prepare(
      'INSERT OR IGNORE INTO idempotency (api_key, key, digest, resource, expires_at) VALUES (?, ?, ?, ?, ?)',
    ),
    note: db.prepare(
      `UPDATE batch_members SET execution_id = (SELECT e.id FROM idempotency i
         JOIN executions e ON e.public_id = i.resource WHERE i.api_key = ? AND i.key = ?)
       WHERE batch_id = ? AND position = ?`,
    ),
    cancelRest: db.prepare(
      "UPDATE batch_members SET outcome = 'cancelled' WHERE batch_id = ? AND outcome IS NULL AND execution_id IS NULL",
    ),
    next: db.prepare<[number, number], { position: number; machineId: string }>(
      `SELECT b.position, (SELECT public_id FROM machines m WHERE m.id = b.machine_id) AS machineId
       ${OPEN} AND b.execution_id IS NULL ORDER BY b.position LIMIT ?`,
    ),
    unfinished: db.prepare<[number], { machineId: string; executionId: string }>(
      `SELECT (SELECT public_id FROM machines m WHERE m.id = b.machine_id) AS machineId,
         (SELECT public_id FROM executions e WHERE e.id = b.execution_id) AS executionId
       ${OPEN} AND b.execution_id IS NOT NULL`,
    ),
    executions: db.prepare<[number, number, number], ExecutionRow & { position: number }>(
      `${SELECT_EXECUTION.replace('SELECT ', 'SELECT b.position, ').replace('FROM executions e', 'FROM batch_members b CROSS JOIN executions e ON e.id = b.execution_id')}
       WHERE b.batch_id = ? AND b.position > ? ORDER BY b.position LIMIT ?`,
    ),
    end: db.prepare('UPDATE batches SET status = ?, completed_at = ?, sealed_request = NULL, counts = ? WHERE id = ?'),
    ended: db.prepare<[number], BatchRow>(`${SELECT} WHERE b.completed_at < ? ORDER BY b.completed_at, b.id LIMIT 1`),
    setCounts: db.prepare('UPDATE batches SET counts = ? WHERE id = ?'),
    deleteMembers: db.prepare(
      `DELETE FROM batch_members WHERE batch_id = $id AND position IN
         (SELECT position FROM batch_members WHERE batch_id = $id ORDER BY position LIMIT $limit)`,
    ),
    delete: db.prepare('DELETE FROM batches WHERE id = ?'),
    cancel: db.prepare('UPDATE batches SET cancelled = 1 WHERE id = ?'),
    setExecution: db.prepare(
      `UPDATE batch_members SET execution_id = (SELECT id FROM executions WHERE public_id = ?)
       WHERE batch_id = ? AND position = ?`,
    ),
    setOutcome: db.prepare('UPDATE batch_members SET outcome = ? WHERE batch_id = ? AND position = ?'),
  };
}

/** The tables of batches. Its methods run inside a write. */
class BatchTable {
  readonly #statements: ReturnType<typeof prepare>;
  readonly #tx: Context['tx'];

  constructor({ db, tx }: Pick<Context, 'db' | 'tx'>) {
    this.#statements = prepare(db);
    this.#tx = tx;
  }

  readonly toBatch = (row: BatchRow): Batch =>
    toBatch(row, row.counts === null ? this.#statements.counts.all(row.id) : []);

  found(batchId: string): Batch | undefined {
    const row = this.#statements.find.get(batchId);
    return row && this.toBatch(row);
  }

  create(p: Parameters<BatchStore['createBatch']>[0]): Awaited<ReturnType<BatchStore['createBatch']>> {
    const refusal = refusalOf(this.#tx, p);
    if (refusal !== undefined) return refusal;
    const { batchId, machineIds, sealedRequest, maxConcurrency, maxFailures = null, createdBy } = p.batch;
    const keys = machineIds.map((machineId) => this.#statements.machine.get(machineId));
    const missing = machineIds.filter((_, position) => keys[position] === undefined);
    if (missing.length > 0) return { outcome: 'machine_not_found', machineIds: missing };
    const { lastInsertRowid } = this.#statements.insert.run(
      batchId,
      sealedRequest,
      maxConcurrency,
      maxFailures,
      createdBy,
      p.now,
    );
    keys.forEach((machine, position) => void this.#statements.insertMember.run(lastInsertRowid, position, machine));
    this.#tx.bind(p.idempotency, batchId);
    return { outcome: 'created', batch: this.found(batchId) as Batch };
  }

  cancel(p: Parameters<BatchStore['cancelBatch']>[0]): Awaited<ReturnType<BatchStore['cancelBatch']>> {
    const refusal = refusalOf(this.#tx, p);
    if (refusal !== undefined) return refusal;
    const row = this.#statements.find.get(p.batchId);
    if (row === undefined) return { outcome: 'not_found' };
    this.#tx.bind(p.idempotency, p.batchId);
    if (row.status !== 'running' || row.cancelled === 1) return { outcome: 'stale', batch: this.toBatch(row) };
    this.#statements.cancel.run(row.id);
    this.#cancelRest(row, p.now);
    return { outcome: 'applied', batch: this.toBatch(row) };
  }

  advance({ batchId, now }: Parameters<BatchStore['advanceBatch']>[0]): BatchAdvance | undefined {
    const row = this.#statements.find.get(batchId);
    if (row === undefined) return undefined;
    const cancelled = row.cancelled === 1;
    if (row.status !== 'running') return { batch: this.toBatch(row), next: [], unfinished: [], cancelled };
    this.#statements.takeIn.run(row.id);
    let step = this.#step(row);
    if (step.cancelRest) {
      this.#cancelRest(row, now);
      // An execution that was made and not recorded counts as running.
      step = this.#step(row);
    }
    if (step.end !== undefined) this.#statements.end.run(step.end, now, countsText(step.counts), row.id);
    const next = step.start === 0 ? [] : this.#statements.next.all(row.id, step.start);
    return {
      batch: toBatch(this.#statements.find.get(batchId) ?? row, step.counts),
      next: next.map((member) => toMember(batchId, member, now)),
      unfinished: step.unfinished,
      cancelled,
      ...(row.sealed_request === null ? {} : { sealedRequest: row.sealed_request }),
    };
  }

  #step(row: BatchRow) {
    const unfinished = this.#statements.unfinished.all(row.id);
    const counts = this.#statements.counts.all(row.id);
    return { unfinished, counts, ...nextBatchStep(...progressOf(row, counts, unfinished.length)) };
  }

  #cancelRest({ id, public_id: batchId }: BatchRow, now: number): void {
    for (const position of this.#statements.pending.all(id)) {
      const { apiKeyId, key, digest } = memberKey(batchId, position);
      this.#statements.spend.run(apiKeyId, key, digest, SPENT, now + MEMBER_KEY_MS);
      this.#statements.note.run(apiKeyId, key, id, position);
    }
    this.#statements.cancelRest.run(id);
  }

  list({ createdBy, limit, after = NEWEST }: Parameters<BatchStore['listBatches']>[0]): Page<Batch> {
    const rows =
      createdBy === undefined
        ? this.#statements.list.all(after, limit + 1)
        : this.#statements.listOf.all(createdBy, after, limit + 1);
    return toPage(rows, limit, (row) => row.id, this.toBatch);
  }

  executions({ batchId, limit, after = -1 }: Parameters<BatchStore['listBatchExecutions']>[0]): Page<Execution> {
    const rows = this.#statements.executions.all(this.#keyOf(batchId), after, limit + 1);
    return toPage(rows, limit, (row) => row.position, toExecution);
  }

  running(): string[] {
    return this.#statements.running.all();
  }

  setMember({ batchId, position, result }: Parameters<BatchStore['setBatchMember']>[0]): void {
    const key = this.#keyOf(batchId);
    if ('executionId' in result) this.#statements.setExecution.run(result.executionId, key, position);
    else this.#statements.setOutcome.run(result.outcome, key, position);
  }

  deleteEnded({ before, limit }: Parameters<BatchStore['deleteEndedBatches']>[0]): number {
    let left = limit;
    while (left > 0) {
      const row = this.#statements.ended.get(before);
      if (row === undefined) break;
      if (row.counts === null) this.#statements.setCounts.run(countsText(this.#statements.counts.all(row.id)), row.id);
      left -= this.#statements.deleteMembers.run({ id: row.id, limit: left }).changes;
      if (left > 0) left -= this.#statements.delete.run(row.id).changes;
    }
    return limit - left;
  }

  #keyOf(batchId: string): number {
    return this.#statements.find.get(batchId)?.id ?? 0;
  }
}

/** The BatchStore of SQLite. */
export function batchMethods(context: Context): BatchStore {
  const { write } = context;
  const table = new BatchTable(context);
  return {
    createBatch: (p) => write(() => table.create(p), p.batch.sealedRequest.length),
    getBatch: ({ batchId }) => read(() => table.found(batchId)),
    listBatches: (p) => read(() => table.list(p)),
    listBatchExecutions: (p) => read(() => table.executions(p)),
    cancelBatch: (p) => write(() => table.cancel(p)),
    listRunningBatches: () => read(() => table.running()),
    advanceBatch: (p) => write(() => table.advance(p)),
    setBatchMember: (p) => write(() => table.setMember(p)),
    deleteEndedBatches: (p) => write(() => table.deleteEnded(p)),
  };
}
