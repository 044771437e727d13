/** Converts the rows of an execution, for any database: both select under these names, with true as 1. */
import type { ExecutionStatus, FailureCode, OutputMode } from '../../core/execution.ts';
import type { ExecutionRecord } from '../../core/decisions/execution-draft.ts';
import type { Execution } from '../store.ts';
import { type ArtifactsColumn, JSON_COLUMN } from './json-columns.ts';

/** The columns of the request. */
export interface RequestRow {
  command: string;
  cwd: string | null;
  env_keys: string;
  user: string | null;
  timeout_ms: number | null;
  stdin_mode: string;
  callback_url: string | null;
  created_by: string;
  queued_bytes: number;
  launch: string | null;
  declared_artifacts: string | null;
}

/** The columns of the state, which changes. They are in a narrow table of their own. */
export interface StateRow {
  id: number;
  public_id: string;
  machine_id: number;
  machine_public_id: string;
  status: string;
  created_at: number;
  expires_at: number;
  started_at: number | null;
  completed_at: number | null;
  cancel_requested_at: number | null;
  cancelled_by: string | null;
  dispatched_to: string | null;
  dispatch_number: number | null;
  exit_code: number | null;
  signal: number | null;
  error_code: string | null;
  error_message: string | null;
  stdout_bytes: number;
  stdout_kept: number;
  stdout_truncated: number;
  stderr_bytes: number;
  stderr_kept: number;
  stderr_truncated: number;
  last_sequence: number;
  last_event_at: number;
  reported: number;
  output_mode: string;
  output_read_at: number | null;
  stdout_released: number;
  stderr_released: number;
  usage: string | null;
  is_terminal: number;
  artifacts: string | null;
}

/** Both rows, joined. */
export type ExecutionRow = StateRow & RequestRow;

/** Returns the record of a row. */
export function toRecord(row: ExecutionRow): ExecutionRecord {
  return recordOf(row, row);
}

/** Returns the execution of a row. */
export function toExecution(row: ExecutionRow): Execution {
  return execution(row, row);
}

/** Parses the artifacts of an execution and its open artifact: one small column, since few executions have any. */
function artifactsOf({ artifacts }: StateRow): ArtifactsColumn {
  return artifacts === null ? {} : JSON_COLUMN.artifacts('artifacts', artifacts);
}

/** Returns the record of the rows of both tables. */
export function recordOf(row: StateRow, request: RequestRow): ExecutionRecord {
  return {
    key: row.id,
    machineKey: row.machine_id,
    execution: execution(row, request),
    kept: { stdout: row.stdout_kept, stderr: row.stderr_kept },
    released: { stdout: row.stdout_released, stderr: row.stderr_released },
    lastEventAt: row.last_event_at,
    queuedBytes: request.queued_bytes,
    artifact: artifactsOf(row).open,
    outputReadAt: row.output_read_at ?? undefined,
  };
}

/** Returns an execution; NULL becomes absent. */
function execution(row: StateRow, request: RequestRow): Execution {
  const execution: Execution = {
    executionId: row.public_id,
    machineId: row.machine_public_id,
    command: JSON_COLUMN.strings('command', request.command),
    envKeys: request.env_keys === '' ? [] : JSON_COLUMN.strings('env_keys', request.env_keys),
    stdinMode: request.stdin_mode as Execution['stdinMode'],
    createdBy: request.created_by,
    status: row.status as ExecutionStatus,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    stdout: { bytes: row.stdout_bytes, truncated: row.stdout_truncated === 1 },
    stderr: { bytes: row.stderr_bytes, truncated: row.stderr_truncated === 1 },
    lastSequence: row.last_sequence,
    reported: row.reported,
  };
  if (row.output_mode !== 'keep') execution.outputMode = row.output_mode as OutputMode;
  if (request.cwd !== null) execution.cwd = request.cwd;
  if (request.user !== null) execution.user = request.user;
  if (request.timeout_ms !== null) execution.timeoutMs = request.timeout_ms;
  if (request.callback_url !== null) execution.callbackUrl = request.callback_url;
  if (request.declared_artifacts !== null)
    execution.declaredArtifacts = JSON_COLUMN.declaredArtifacts('declared_artifacts', request.declared_artifacts);
  const { entries } = artifactsOf(row);
  if (entries !== undefined) execution.artifacts = entries;
  if (row.started_at !== null) execution.startedAt = row.started_at;
  if (row.completed_at !== null) execution.completedAt = row.completed_at;
  if (row.cancel_requested_at !== null) execution.cancelRequestedAt = row.cancel_requested_at;
  if (row.cancelled_by !== null) execution.cancelledBy = row.cancelled_by;
  if (row.dispatched_to !== null) execution.dispatchedTo = row.dispatched_to;
  if (row.dispatch_number !== null) execution.dispatchNumber = row.dispatch_number;
  if (row.exit_code !== null) execution.exitCode = row.exit_code;
  if (row.signal !== null) execution.signal = row.signal;
  if (row.error_code !== null) execution.errorCode = row.error_code as FailureCode;
  if (row.error_message !== null) execution.errorMessage = row.error_message;
  return Object.assign(execution, launchOf(row, request));
}

/** Returns the launch options and the usage of an execution. */
function launchOf(row: StateRow, request: RequestRow): Partial<Execution> {
  return {
    ...(row.is_terminal === 1 && { isTerminal: true }),
    ...(row.usage !== null && { usage: JSON_COLUMN.usage('usage', row.usage) }),
    ...(request.launch !== null && JSON_COLUMN.launch('launch', request.launch)),
  };
}
