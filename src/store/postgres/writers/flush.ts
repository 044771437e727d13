/** The second round trip of a batch: writes the changes of all its use cases in a few statements. */
import type { LogEntry } from '../../../core/decisions/execution-draft.ts';
import { artifactsColumn, launchColumn } from '../../rows/execution-row.ts';
import type { Batch, Touched } from './batch.ts';
import { bulk, rows } from './bulk.ts';
import type { Statement } from '../connections/statement-group.ts';
import { artifactStatements } from './flush-artifacts.ts';
import { machineStatements } from './flush-machines.ts';

/** Returns the statements that write the batch. */
export function flushStatements(batch: Batch): Statement[] {
  const changed = [...batch.executions.values()].filter((touched) => touched.changed);
  const created = changed.filter((touched) => touched.newExecution !== undefined);
  const updated = changed.filter((touched) => touched.newExecution === undefined);
  const ended = changed.filter((touched) => touched.ended);
  return [
    ...machineStatements(batch.machines),
    ...bulk(
      'insert-executions',
      INSERT_EXECUTIONS,
      created.map((touched) => [...stateOf(touched), readAt(touched), touched.record.execution.isTerminal === true]),
    ),
    ...bulk('insert-requests', INSERT_REQUESTS, created.map(requestOf)),
    ...sealStatements(created),
    ...bulk('update-executions', UPDATE_EXECUTIONS, updated.map(stateOf)),
    ...bulk('insert-lifecycle', INSERT_LIFECYCLE, changed.flatMap(lifecycleOf)),
    ...rows(INSERT_OUTPUT, changed.flatMap(outputOf)),
    ...rows(INSERT_STREAMED, changed.flatMap(streamedOf)),
    ...releaseStatements(changed.filter((touched) => touched.releases)),
    ...rows(INSERT_TAILS, changed.flatMap(tailsOf)),
    ...bulk(
      'wipe-inputs',
      WIPE,
      ended.filter(({ newExecution }) => newExecution === undefined).map(({ record }) => [record.key]),
    ),
    ...bulk('insert-callbacks', INSERT_CALLBACKS, ended.flatMap(callbackOf)),
    ...artifactStatements(batch.artifacts),
    ...keyStatements(batch),
  ];
}

const INSERT_EXECUTIONS = `INSERT INTO executions (id, machine_id, public_id, created_at, expires_at, status, started_at,
    completed_at, cancel_requested_at, cancelled_by, dispatched_to, dispatch_number, exit_code, signal, error_code, error_message,
    stdout_bytes, stdout_kept, stdout_truncated, stderr_bytes, stderr_kept, stderr_truncated, last_sequence, last_event_at, reported, output_mode, artifacts, usage,
    output_read_at, is_terminal)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::text[],
    $17::bigint[], $18::bigint[], $19::boolean[], $20::bigint[], $21::bigint[], $22::boolean[], $23::bigint[], $24::bigint[],
    $25::bigint[], $26::text[], $27::text[], $28::text[], $29::bigint[], $30::boolean[])`;
const UPDATE_EXECUTIONS = `UPDATE executions e SET status = u.status, started_at = u.started_at, completed_at = u.completed_at,
    cancel_requested_at = u.cancel_requested_at, cancelled_by = u.cancelled_by, dispatched_to = u.dispatched_to,
    dispatch_number = u.dispatch_number, exit_code = u.exit_code, signal = u.signal, error_code = u.error_code,
    error_message = u.error_message, stdout_bytes = u.stdout_bytes, stdout_kept = u.stdout_kept,
    stdout_truncated = u.stdout_truncated, stderr_bytes = u.stderr_bytes, stderr_kept = u.stderr_kept,
    stderr_truncated = u.stderr_truncated, last_sequence = u.last_sequence, last_event_at = u.last_event_at, reported = u.reported,
    output_mode = u.output_mode, artifacts = u.artifacts, usage = u.usage
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::text[],
    $17::bigint[], $18::bigint[], $19::boolean[], $20::bigint[], $21::bigint[], $22::boolean[], $23::bigint[], $24::bigint[],
    $25::bigint[], $26::text[], $27::text[], $28::text[]) AS u (id, machine_id, public_id, created_at, expires_at, status, started_at, completed_at,
    cancel_requested_at, cancelled_by, dispatched_to, dispatch_number, exit_code, signal, error_code, error_message, stdout_bytes,
    stdout_kept, stdout_truncated, stderr_bytes, stderr_kept, stderr_truncated, last_sequence, last_event_at, reported, output_mode, artifacts, usage)
  WHERE e.id = u.id`;

/** Returns the values in the order of the two statements above. */
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

const INSERT_REQUESTS = `INSERT INTO requests (execution_id, command, cwd, env_keys, "user", timeout_ms, stdin_mode,
    callback_url, created_by, queued_bytes, artifacts, launch)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
    $9::text[], $10::bigint[], $11::text[], $12::text[])`;

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

const INSERT_LIFECYCLE = `INSERT INTO events (execution_id, sequence, at, type, status, exit_code, signal, error_code,
    error_message)
  SELECT execution_id, sequence, at, 'lifecycle', status, exit_code, signal, error_code, error_message
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])
    AS u (execution_id, sequence, at, status, exit_code, signal, error_code, error_message)`;

function lifecycleOf({ record, entries }: Touched): unknown[][] {
  return entries.flatMap((entry) =>
    entry.type === 'lifecycle'
      ? [
          [
            record.key,
            entry.sequence,
            entry.at,
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
const INSERT_CALLBACKS = `INSERT INTO callbacks (execution_id, created_at, due_at)
  SELECT id, at, at FROM unnest($1::bigint[], $2::bigint[]) AS u (id, at)`;

function callbackOf({ record: { key, execution } }: Touched): unknown[][] {
  return execution.callbackUrl === undefined ? [] : [[key, execution.completedAt]];
}

const FREE_KEYS = 'DELETE FROM idempotency WHERE (api_key, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))';
const BIND_KEYS = `UPDATE idempotency i SET digest = u.digest, resource = u.resource, expires_at = u.expires_at
  FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) AS u (api_key, key, digest, resource, expires_at)
  WHERE i.api_key = u.api_key AND i.key = u.key`;

/** Updates or deletes the rows of Idempotency-Keys. Loading has inserted a row for each key of the batch. */
function keyStatements(batch: Batch): Statement[] {
  const changed = [...batch.keys.values()].filter((key) => key.changed);
  const free = changed.flatMap(({ apiKeyId, key, bound }) => (bound === undefined ? [[apiKeyId, key]] : []));
  const bound = changed.flatMap(({ apiKeyId, key, bound: value }) =>
    value === undefined ? [] : [[apiKeyId, key, value.digest, value.resource, value.expiresAt]],
  );
  return [...bulk('free-keys', FREE_KEYS, free), ...bulk('bind-keys', BIND_KEYS, bound)];
}
