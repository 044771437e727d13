/** The statements of a batch that write the events and the output of executions. */
import type { LogEntry } from '../../../core/decisions/execution-draft.ts';
import type { Statement } from '../connections/statement-group.ts';
import { bulk, each, insertStatement, rows } from '../statements/bulk.ts';
import type { Touched } from './batch.ts';

/** Returns the statements that write events and output, and delete output that was released. */
export function outputStatements(changed: readonly Touched[]): Statement[] {
  return [
    ...each(INSERT_LIFECYCLE, changed.flatMap(lifecycleOf)),
    ...rows(INSERT_OUTPUT, changed.flatMap(outputOf)),
    ...rows(INSERT_STREAMED, changed.flatMap(streamedOf)),
    ...releaseStatements(changed.filter((touched) => touched.releases)),
    ...rows(INSERT_TAILS, changed.flatMap(tailsOf)),
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
