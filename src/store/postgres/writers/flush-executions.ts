/** The statements of a batch that write the states and the requests of executions. */
import { requestColumns, stateColumns } from '../../rows/execution-columns.ts';
import type { Statement } from '../connections/statement-group.ts';
import { each, insertStatement, rowsStatement } from '../statements/bulk.ts';
import { lockUnchanged, updateUnchanged, versionOf } from '../statements/unchanged.ts';
import type { Touched } from './batch.ts';

/** Returns the statements that write new executions. */
export function insertExecutions(created: readonly Touched[]): Statement[] {
  return [...each(INSERT_EXECUTIONS, created.map(executionOf)), ...each(INSERT_REQUESTS, created.map(requestOf))];
}

/**
 * Returns the statements that write changed executions, and lock those that only have to be unchanged: they fail if another writer has changed
 * an execution that this one did not read again.
 */
export function updateExecutions(updated: readonly Touched[], untouched: readonly Touched[]): Statement[] {
  return [
    ...each(UPDATE_EXECUTIONS, updated.filter(({ writtenBy }) => writtenBy === undefined).map(changeOf)),
    ...each(UPDATE_UNCHANGED, updated.toSorted((a, b) => a.record.key - b.record.key).flatMap(unchangedOf)),
    ...lockUnchanged(
      'executions',
      untouched.map(({ record, writtenBy = 0n }) => [record.key, versionOf(writtenBy)]),
    ),
  ];
}

/** The columns that change, in the order of `stateColumns`. */
const STATE_COLUMNS = {
  status: 'text',
  started_at: 'bigint',
  completed_at: 'bigint',
  cancel_requested_at: 'bigint',
  cancelled_by: 'text',
  dispatched_to: 'text',
  dispatch_number: 'bigint',
  exit_code: 'bigint',
  signal: 'bigint',
  error_code: 'text',
  error_message: 'text',
  stdout_bytes: 'bigint',
  stdout_kept: 'bigint',
  stdout_truncated: 'boolean',
  stderr_bytes: 'bigint',
  stderr_kept: 'bigint',
  stderr_truncated: 'boolean',
  last_sequence: 'bigint',
  last_event_at: 'bigint',
  reported: 'bigint',
  output_mode: 'text',
  artifacts: 'text',
  usage: 'text',
} as const;
const INSERT_EXECUTIONS = insertStatement('insert-executions', 'executions', {
  id: 'bigint',
  machine_id: 'bigint',
  public_id: 'text',
  created_at: 'bigint',
  expires_at: 'bigint',
  ...STATE_COLUMNS,
  output_read_at: 'bigint',
  is_terminal: 'boolean',
});
const CHANGED_COLUMNS = { id: 'bigint', ...STATE_COLUMNS } as const;
const SET_STATE = Object.keys(STATE_COLUMNS)
  .map((column) => `${column} = u.${column}`)
  .join(', ');
const UPDATE_EXECUTIONS = rowsStatement(
  'update-executions',
  CHANGED_COLUMNS,
  (rows) => `UPDATE executions e SET ${SET_STATE} FROM ${rows} WHERE e.id = u.id`,
);
const UPDATE_UNCHANGED = updateUnchanged({
  name: 'update-unchanged-executions',
  table: 'executions',
  columns: CHANGED_COLUMNS,
  set: SET_STATE,
});

/** Returns the values of INSERT_EXECUTIONS. */
function executionOf({ record }: Touched): unknown[] {
  const { key, machineKey, execution } = record;
  const { executionId, createdAt, expiresAt, outputMode, isTerminal = false } = execution;
  // The time to wait for a reader counts from the creation on.
  const readAt = outputMode === undefined ? null : createdAt;
  return [key, machineKey, executionId, createdAt, expiresAt, ...stateColumns(record), readAt, isTerminal];
}

/** Returns the values in the order of CHANGED_COLUMNS. */
function changeOf({ record }: Touched): unknown[] {
  return [record.key, ...stateColumns(record)];
}

function unchangedOf(touched: Touched): unknown[][] {
  return touched.writtenBy === undefined ? [] : [[...changeOf(touched), versionOf(touched.writtenBy)]];
}

const INSERT_REQUESTS = insertStatement('insert-requests', 'requests', {
  execution_id: 'bigint',
  command: 'text',
  cwd: 'text',
  env_keys: 'text',
  user: 'text',
  timeout_ms: 'bigint',
  stdin_mode: 'text',
  callback_url: 'text',
  created_by: 'text',
  queued_bytes: 'bigint',
  artifacts: 'text',
  launch: 'text',
});

function requestOf({ record }: Touched): unknown[] {
  return [record.key, ...requestColumns(record.execution, record.queuedBytes)];
}
