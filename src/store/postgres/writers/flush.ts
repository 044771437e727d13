/** The second round trip of a batch: writes the changes of all its use cases in a few statements. */
import type { LogEntry } from '../../../core/decisions/execution-draft.ts';
import { artifactsColumn, launchColumn } from '../../rows/execution-row.ts';
import type { Statement } from '../connections/statement-group.ts';
import { bulk, each, insertStatement, rows, rowsStatement } from '../statements/bulk.ts';
import { lockUnchanged, updateUnchanged, versionOf } from '../statements/unchanged.ts';
import type { Batch, Touched } from './batch.ts';
import { artifactStatements } from './flush-artifacts.ts';
import { machineStatements } from './flush-machines.ts';

/** Returns the statements that write the batch. */
export function flushStatements(batch: Batch): Statement[] {
  const all = [...batch.executions.values()];
  const changed = all.filter((touched) => touched.changed);
  const untouched = all.filter((touched) => !touched.changed && touched.writtenBy !== undefined);
  const created = changed.filter((touched) => touched.newExecution !== undefined);
  const updated = changed.filter((touched) => touched.newExecution === undefined);
  const ended = changed.filter((touched) => touched.ended);
  return [
    ...machineStatements(batch.machines),
    ...each(
      INSERT_EXECUTIONS,
      created.map((touched) => [...stateOf(touched), readAt(touched), touched.record.execution.isTerminal === true]),
    ),
    ...each(INSERT_REQUESTS, created.map(requestOf)),
    ...sealStatements(created),
    ...each(UPDATE_EXECUTIONS, updated.filter(({ writtenBy }) => writtenBy === undefined).map(changeOf)),
    ...each(UPDATE_UNCHANGED, updated.toSorted((a, b) => a.record.key - b.record.key).flatMap(unchangedOf)),
    ...lockUnchanged(
      'executions',
      untouched.map(({ record, writtenBy = 0n }) => [record.key, versionOf(writtenBy)]),
    ),
    ...each(INSERT_LIFECYCLE, changed.flatMap(lifecycleOf)),
    ...rows(INSERT_OUTPUT, changed.flatMap(outputOf)),
    ...rows(INSERT_STREAMED, changed.flatMap(streamedOf)),
    ...releaseStatements(changed.filter((touched) => touched.releases)),
    ...rows(INSERT_TAILS, changed.flatMap(tailsOf)),
    ...bulk(
      'wipe-inputs',
      WIPE,
      ended.filter(({ newExecution }) => newExecution === undefined).map(({ record }) => [record.key]),
    ),
    ...each(INSERT_CALLBACKS, ended.flatMap(callbackOf)),
    ...artifactStatements(batch.artifacts),
    ...keyStatements(batch),
  ];
}

/** The columns of the state of an execution, in the order of `stateOf`. */
const STATE_COLUMNS = {
  id: 'bigint',
  machine_id: 'bigint',
  public_id: 'text',
  created_at: 'bigint',
  expires_at: 'bigint',
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
  ...STATE_COLUMNS,
  output_read_at: 'bigint',
  is_terminal: 'boolean',
});
const { machine_id: _m, public_id: _p, created_at: _c, expires_at: _e, ...CHANGING_COLUMNS } = STATE_COLUMNS;
const SET_STATE = Object.keys(CHANGING_COLUMNS)
  .slice(1)
  .map((column) => `${column} = u.${column}`)
  .join(', ');
const UPDATE_EXECUTIONS = rowsStatement(
  'update-executions',
  CHANGING_COLUMNS,
  (rows) => `UPDATE executions e SET ${SET_STATE} FROM ${rows} WHERE e.id = u.id`,
);
const UPDATE_UNCHANGED = updateUnchanged({
  name: 'update-unchanged-executions',
  table: 'executions',
  columns: CHANGING_COLUMNS,
  set: SET_STATE,
});

/** Returns the values in the order of CHANGING_COLUMNS. */
function changeOf(touched: Touched): unknown[] {
  const [key, _machine, _id, _createdAt, _expiresAt, ...changing] = stateOf(touched);
  return [key, ...changing];
}

function unchangedOf(touched: Touched): unknown[][] {
  return touched.writtenBy === undefined ? [] : [[...changeOf(touched), versionOf(touched.writtenBy)]];
}

/** Returns the values in the order of STATE_COLUMNS. */
function stateOf({ record }: Touched): unknown[] {
  const { key, machineKey, execution, kept, lastEventAt } = record;
  return [
    key,
    machineKey,
    execution.executionId,
    execution.createdAt,
    execution.expiresAt,
    execution.status,
    execution.startedAt,
    execution.completedAt,
    execution.cancelRequestedAt,
    execution.cancelledBy,
    execution.dispatchedTo,
    execution.dispatchNumber,
    execution.exitCode,
    execution.signal,
    execution.errorCode,
    execution.errorMessage,
    execution.stdout.bytes,
    kept.stdout,
    execution.stdout.truncated,
    execution.stderr.bytes,
    kept.stderr,
    execution.stderr.truncated,
    execution.lastSequence,
    lastEventAt,
    execution.reported,
    execution.outputMode ?? 'keep',
    artifactsColumn(execution.artifacts, record.artifact),
    execution.usage === undefined ? null : JSON.stringify(execution.usage),
  ];
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
  const { executionId: _, ...request } = record.execution;
  return [
    record.key,
    JSON.stringify(request.command),
    request.cwd,
    request.envKeys.length === 0 ? '' : JSON.stringify(request.envKeys),
    request.user,
    request.timeoutMs,
    request.stdinMode,
    request.callbackUrl,
    request.createdBy,
    record.queuedBytes,
    request.declaredArtifacts === undefined ? null : JSON.stringify(request.declaredArtifacts),
    launchColumn(request),
  ];
}

const INSERT_LIFECYCLE = insertStatement('insert-lifecycle', 'events', {
  execution_id: 'bigint',
  sequence: 'bigint',
  at: 'bigint',
  type: 'text',
  status: 'text',
  exit_code: 'bigint',
  signal: 'bigint',
  error_code: 'text',
  error_message: 'text',
});

function lifecycleOf({ record, entries }: Touched): unknown[][] {
  return entries.flatMap((entry) =>
    entry.type === 'lifecycle'
      ? [
          [
            record.key,
            entry.sequence,
            entry.at,
            entry.type,
            entry.status,
            entry.exitCode,
            entry.signal,
            entry.errorCode,
            entry.errorMessage,
          ],
        ]
      : [],
  );
}

const INSERT_OUTPUT = {
  into: 'INSERT INTO events (execution_id, sequence, at, type, stream_offset, chunk) VALUES',
  types: ['bigint', 'bigint', 'bigint', 'text', 'bigint', 'bytea'],
};

function outputOf({ record, entries }: Touched): unknown[][] {
  return entries
    .filter((entry): entry is Exclude<LogEntry, { type: 'lifecycle' }> => entry.type !== 'lifecycle')
    .map(({ sequence, at, type, offset, chunk }) => [record.key, sequence, at, type, offset, chunk]);
}

const INSERT_STREAMED = {
  into: 'INSERT INTO stream_chunks (execution_id, stream, stream_end, bytes) VALUES',
  types: ['bigint', 'text', 'bigint', 'bytea'],
};

function streamedOf({ record, streamed }: Touched): unknown[][] {
  return streamed.map(({ stream, offset, bytes }) => [record.key, stream, offset + bytes.length, bytes]);
}

const RELEASE_OUTPUT = `UPDATE executions e SET stdout_released = u.stdout, stderr_released = u.stderr
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (id, stdout, stderr) WHERE e.id = u.id`;
const DELETE_RELEASED = `DELETE FROM stream_chunks c USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (id, stdout, stderr)
  WHERE c.execution_id = u.id AND c.stream_end <= CASE c.stream WHEN 'stdout' THEN u.stdout ELSE u.stderr END`;

function releaseStatements(released: readonly Touched[]): Statement[] {
  const offsets = released.map(({ record }) => [record.key, record.released.stdout, record.released.stderr]);
  return [...bulk('release-output', RELEASE_OUTPUT, offsets), ...bulk('delete-released', DELETE_RELEASED, offsets)];
}

/** Stores tails; a stream that has one already keeps it. */
const INSERT_TAILS = {
  into: 'INSERT INTO output_tails (execution_id, stream, bytes) VALUES',
  types: ['bigint', 'text', 'bytea'],
  conflict: 'ON CONFLICT DO NOTHING',
};

function tailsOf({ record, tails }: Touched): unknown[][] {
  return tails.map(({ stream, bytes }) => [record.key, stream, bytes]);
}

/** Returns the initial time of the last read: the time to wait for a reader counts from the creation on. */
function readAt({ record: { execution } }: Touched): number | null {
  return execution.outputMode === undefined ? null : execution.createdAt;
}

const INSERT_SEALED = {
  into: 'INSERT INTO sealed_inputs (execution_id, sealed) VALUES',
  types: ['bigint', 'bytea'],
};

/** Stores sealed inputs, except for executions that ended in the batch that created them. */
function sealStatements(created: readonly Touched[]): Statement[] {
  const sealed = created.flatMap(({ record, newExecution, ended }) =>
    newExecution?.sealedInput === undefined || ended ? [] : [[record.key, newExecution.sealedInput]],
  );
  return rows(INSERT_SEALED, sealed);
}

const WIPE = 'DELETE FROM sealed_inputs WHERE execution_id = ANY($1::bigint[])';
const INSERT_CALLBACKS = insertStatement('insert-callbacks', 'callbacks', {
  execution_id: 'bigint',
  created_at: 'bigint',
  due_at: 'bigint',
});

function callbackOf({ record: { key, execution } }: Touched): unknown[][] {
  return execution.callbackUrl === undefined ? [] : [[key, execution.completedAt, execution.completedAt]];
}

const FREE_KEYS = 'DELETE FROM idempotency WHERE (api_key, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))';
const BIND_KEYS = rowsStatement(
  'bind-keys',
  { api_key: 'text', key: 'text', digest: 'bytea', resource: 'text', expires_at: 'bigint' },
  (rows) => `UPDATE idempotency i SET digest = u.digest, resource = u.resource, expires_at = u.expires_at
    FROM ${rows} WHERE i.api_key = u.api_key AND i.key = u.key`,
);

/** Updates or deletes the rows of Idempotency-Keys. Loading has inserted a row for each key of the batch. */
function keyStatements(batch: Batch): Statement[] {
  const changed = [...batch.keys.values()].filter((key) => key.changed);
  const free = changed.flatMap(({ apiKeyId, key, bound }) => (bound === undefined ? [[apiKeyId, key]] : []));
  const bound = changed.flatMap(({ apiKeyId, key, bound: value }) =>
    value === undefined ? [] : [[apiKeyId, key, value.digest, value.resource, value.expiresAt]],
  );
  return [...bulk('free-keys', FREE_KEYS, free), ...each(BIND_KEYS, bound)];
}
