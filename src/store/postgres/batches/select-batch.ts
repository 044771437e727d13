/** SQL that selects batches under the names of the shared rows. */
import { IS_UNFINISHED, MEMBER_STATE } from '../../rows/batch-row.ts';
import { REPLICA_ALIVE } from '../statements/select-machine.ts';

/** Number of machines of a batch among which its command is searched: machines that were removed meanwhile have no execution. */
const MAX_COMMANDLESS = 100;
/** The tally of `batches b`, from each of its machines. */
export const COUNT = `(SELECT json_object_agg(state, count)::text FROM
  (SELECT ${MEMBER_STATE} AS state, count(*) AS count FROM batch_members WHERE batch_id = b.id GROUP BY 1) t)`;
/** An execution that was deleted has failed. */
const UNFINISHED = `(SELECT json_object_agg(status, count)::text FROM
  (SELECT coalesce((SELECT e.status FROM executions e WHERE e.id = execution_id), 'failed') AS status, count(*) AS count
   FROM batch_members WHERE batch_id = b.id AND ${IS_UNFINISHED} GROUP BY 1) t)`;
const COMMAND = `(SELECT r.command FROM
  (SELECT execution_id FROM batch_members WHERE batch_id = b.id ORDER BY position LIMIT ${MAX_COMMANDLESS}) m
   JOIN requests r ON r.execution_id = m.execution_id LIMIT 1)`;
/** An older server, which continues a batch, keeps no tally. */
const COLUMNS = `b.id, b.public_id, b.status, b.cancelled::int AS cancelled, b.sealed_request,
  b.max_concurrency, b.max_failures, b.created_by, b.created_at, b.completed_at, b.counts,
  CASE WHEN b.counts IS NULL THEN coalesce(CASE WHEN b.tally_by = b.replica_id THEN b.tally END, ${COUNT}) END AS tally`;
/** Append a WHERE clause whose columns begin with `b.`. */
export const SELECT = `SELECT ${COLUMNS}, CASE WHEN b.counts IS NULL THEN ${UNFINISHED} END AS unfinished, ${COMMAND} AS command FROM batches b`;
/** For a step, which does not need the rest. */
export const SELECT_STEP = `SELECT ${COLUMNS}, NULL AS unfinished, NULL AS command FROM batches b`;
/** Batches of the server $1, or of no living server. */
export const FREE_FOR = `(b.replica_id IS NULL OR b.replica_id = $1
  OR NOT EXISTS (SELECT 1 FROM replicas r WHERE r.id = b.replica_id AND r.${REPLICA_ALIVE}))`;
