/** SQL that selects executions under the names of the shared rows. */

const STATE_COLUMNS = `e.id, e.public_id, e.machine_id, m.public_id AS machine_public_id, e.status,
  e.created_at, e.expires_at, e.started_at, e.completed_at, e.cancel_requested_at, e.cancelled_by, e.dispatched_to, e.dispatch_number,
  e.exit_code, e.signal, e.error_code, e.error_message, e.stdout_bytes, e.stdout_kept, e.stdout_truncated::int AS stdout_truncated,
  e.stderr_bytes, e.stderr_kept, e.stderr_truncated::int AS stderr_truncated, e.last_sequence, e.last_event_at, e.reported,
  e.output_mode, e.output_read_at, e.stdout_released, e.stderr_released, e.artifacts, e.usage,
  e.is_terminal::int AS is_terminal`;
const REQUEST_COLUMNS = `r.command, r.cwd, r.env_keys, r."user", r.timeout_ms, r.stdin_mode, r.callback_url, r.created_by,
  r.queued_bytes, r.launch, r.artifacts AS declared_artifacts`;

/** The columns of ExecutionRow, of `executions e`, `machines m` and `requests r`. */
export const EXECUTION_COLUMNS = `${STATE_COLUMNS}, ${REQUEST_COLUMNS}`;
export const EXECUTION_TABLES = `executions e JOIN machines m ON m.id = e.machine_id JOIN requests r ON r.execution_id = e.id`;
/** Append a WHERE clause whose columns begin with `e.`. */
export const SELECT_EXECUTION = `SELECT ${EXECUTION_COLUMNS} FROM ${EXECUTION_TABLES}`;
