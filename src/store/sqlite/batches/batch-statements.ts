/** The statements of batches. */
import type { ExecutionStatus } from '../../../core/execution-status.ts';
import { type BatchRow, IS_PENDING, IS_UNFINISHED, MEMBER_STATE } from '../../rows/batch-row.ts';
import type { ExecutionRow } from '../../rows/execution-row.ts';
import type { Database } from '../file/database.ts';
import { SELECT_EXECUTION } from '../tables/select-execution.ts';

/** Number of machines of a batch among which its command is searched: machines that were removed meanwhile have no execution. */
const MAX_COMMANDLESS = 100;
const COUNT = `(SELECT json_group_object(state, count) FROM
  (SELECT ${MEMBER_STATE} AS state, count(*) AS count FROM batch_members WHERE batch_id = b.id GROUP BY 1))`;
/** An execution that was deleted has failed. */
const UNFINISHED = `(SELECT json_group_object(status, count) FROM
  (SELECT coalesce((SELECT e.status FROM executions e WHERE e.id = execution_id), 'failed') AS status, count(*) AS count
   FROM batch_members INDEXED BY batch_members_unfinished WHERE batch_id = b.id AND ${IS_UNFINISHED} GROUP BY 1))`;
const COMMAND = `(SELECT r.command FROM
  (SELECT execution_id AS execution FROM batch_members WHERE batch_id = b.id ORDER BY position LIMIT ${MAX_COMMANDLESS})
   CROSS JOIN requests r ON r.execution_id = execution LIMIT 1)`;
/** A batch that an older version created has no tally. */
const COLUMNS = `b.id, b.public_id, b.status, b.cancelled, b.sealed_request, b.max_concurrency, b.max_failures, b.created_by,
  b.created_at, b.completed_at, b.counts, iif(b.counts IS NULL, coalesce(b.tally, ${COUNT}), NULL) AS tally`;
const SELECT = `SELECT ${COLUMNS}, iif(b.counts IS NULL, ${UNFINISHED}, NULL) AS unfinished, ${COMMAND} AS command FROM batches b`;
/** For a step, which does not need the rest. */
const SELECT_STEP = `SELECT ${COLUMNS}, NULL AS unfinished, NULL AS command FROM batches b`;

/** Prepares the statements. */
export function prepareBatches(db: Database) {
  return { ...prepareRows(db), ...prepareMembers(db) };
}

/** Statements of batches as a whole. */
function prepareRows(db: Database) {
  return {
    find: db.prepare<[string], BatchRow>(`${SELECT} WHERE b.public_id = ?`),
    list: db.prepare<[number, number], BatchRow>(`${SELECT} WHERE b.id < ? ORDER BY b.id DESC LIMIT ?`),
    listOf: db.prepare<[string, number, number], BatchRow>(
      `${SELECT} WHERE b.created_by = ? AND b.id < ? ORDER BY b.id DESC LIMIT ?`,
    ),
    step: db.prepare<[string], BatchRow>(`${SELECT_STEP} WHERE b.public_id = ?`),
    key: db.prepare<[string], number>('SELECT id FROM batches WHERE public_id = ?').pluck(),
    running: db.prepare<[], string>("SELECT public_id FROM batches WHERE status = 'running'").pluck(),
    machine: db
      .prepare<[string], number>("SELECT id FROM machines WHERE public_id = ? AND desired_state <> 'destroyed'")
      .pluck(),
    insert: db.prepare(
      `INSERT INTO batches (public_id, status, sealed_request, max_concurrency, max_failures, created_by, created_at, tally)
       VALUES (?, 'running', ?, ?, ?, ?, ?, ?)`,
    ),
    setTally: db.prepare('UPDATE batches SET tally = ? WHERE id = ?'),
    end: db.prepare('UPDATE batches SET status = ?, completed_at = ?, sealed_request = NULL, counts = ? WHERE id = ?'),
    ended: db.prepare<[number], BatchRow>(
      `${SELECT_STEP} WHERE b.completed_at < ? ORDER BY b.completed_at, b.id LIMIT 1`,
    ),
    setCounts: db.prepare('UPDATE batches SET counts = ? WHERE id = ?'),
    delete: db.prepare('DELETE FROM batches WHERE id = ?'),
    cancel: db.prepare('UPDATE batches SET cancelled = 1 WHERE id = ?'),
  };
}

/** Statements of the machines of a batch. */
function prepareMembers(db: Database) {
  return {
    insertMember: db.prepare('INSERT INTO batch_members (batch_id, position, machine_id) VALUES (?, ?, ?)'),
    count: db.prepare<[number], string>(`SELECT ${COUNT} FROM batches b WHERE b.id = ?`).pluck(),
    takeIn: db
      .prepare<[number], ExecutionStatus>(
        `UPDATE batch_members AS b INDEXED BY batch_members_unfinished
         SET outcome = coalesce((SELECT e.status FROM executions e WHERE e.id = b.execution_id), 'failed')
         WHERE batch_id = ? AND ${IS_UNFINISHED}
           AND NOT EXISTS (SELECT 1 FROM executions e WHERE e.id = b.execution_id AND e.completed_at IS NULL) RETURNING outcome`,
      )
      .pluck(),
    takeInAmong: db
      .prepare<[number, string], ExecutionStatus>(
        `UPDATE batch_members AS b INDEXED BY batch_members_unfinished
         SET outcome = (SELECT e.status FROM executions e WHERE e.id = b.execution_id)
         WHERE batch_id = ? AND ${IS_UNFINISHED} AND execution_id IN (SELECT e.id FROM json_each(?)
           CROSS JOIN executions e ON e.public_id = value WHERE e.completed_at IS NOT NULL) RETURNING outcome`,
      )
      .pluck(),
    pending: db
      .prepare<[number], number>(
        `SELECT position FROM batch_members INDEXED BY batch_members_pending WHERE batch_id = ? AND ${IS_PENDING} ORDER BY position`,
      )
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
      `UPDATE batch_members INDEXED BY batch_members_pending SET outcome = 'cancelled' WHERE batch_id = ? AND ${IS_PENDING}`,
    ),
    next: db.prepare<[number, number], { position: number; machineId: string }>(
      `SELECT b.position, (SELECT public_id FROM machines m WHERE m.id = b.machine_id) AS machineId
       FROM batch_members b INDEXED BY batch_members_pending WHERE batch_id = ? AND ${IS_PENDING} ORDER BY b.position LIMIT ?`,
    ),
    unfinished: db.prepare<[number], { machineId: string; executionId: string }>(
      `SELECT (SELECT public_id FROM machines m WHERE m.id = b.machine_id) AS machineId,
         (SELECT public_id FROM executions e WHERE e.id = b.execution_id) AS executionId
       FROM batch_members b INDEXED BY batch_members_unfinished WHERE batch_id = ? AND ${IS_UNFINISHED}`,
    ),
    executions: db.prepare<[number, number, number], ExecutionRow & { position: number }>(
      `${SELECT_EXECUTION.replace('SELECT ', 'SELECT b.position, ').replace('FROM executions e', 'FROM batch_members b CROSS JOIN executions e ON e.id = b.execution_id')}
       WHERE b.batch_id = ? AND b.position > ? ORDER BY b.position LIMIT ?`,
    ),
    deleteMembers: db.prepare(
      `DELETE FROM batch_members WHERE batch_id = $id AND position IN
         (SELECT position FROM batch_members WHERE batch_id = $id ORDER BY position LIMIT $limit)`,
    ),
    setExecution: db.prepare(
      `UPDATE batch_members SET execution_id = (SELECT id FROM executions WHERE public_id = ?)
       WHERE batch_id = ? AND position = ? AND ${IS_PENDING}`,
    ),
    setOutcome: db.prepare(
      `UPDATE batch_members SET outcome = ? WHERE batch_id = ? AND position = ? AND ${IS_PENDING}`,
    ),
  };
}
