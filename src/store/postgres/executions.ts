/** Creates, reads, lists and cancels executions, and reads their logs. */
import { type BoundKey, replayOf } from '../../core/decisions/retries.ts';
import type { Stream } from '../../core/execution.ts';
import {
  type ChunkRow,
  type EventRow,
  gather,
  MERGED_ROWS,
  merged,
  type PlacedChunkRow,
  pageOf,
} from '../rows/event-row.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { toPage } from '../rows/page.ts';
import type { EventStore, ExecutionStore, IdempotencyStore } from '../store.ts';
import { bindIdempotency, createExecution, requestCancel } from '../transactions/executions.ts';
import type { Context } from './context.ts';
import { newestExecutions } from './newest-executions.ts';
import { SELECT_EXECUTION } from './statements/select-execution.ts';
import { onBehalf } from './writers/needs.ts';

const OF_MACHINE = 'e.machine_id = (SELECT id FROM machines WHERE public_id = $1)';
const LIST = `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND NOT e.is_terminal AND e.id < $2 ORDER BY e.id DESC LIMIT $3`;
const LIST_BY_STATUS = `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND NOT e.is_terminal AND e.id < $2 AND e.status = $4 ORDER BY e.id DESC LIMIT $3`;

const LIST_TERMINALS = `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND e.is_terminal AND (e.completed_at IS NULL OR e.completed_at > $2)
  AND e.id < $3 ORDER BY e.id DESC LIMIT $4`;
const QUEUED_BYTES = `SELECT (
  (SELECT coalesce(sum(r.queued_bytes), 0) FROM executions e JOIN requests r ON r.execution_id = e.id
    WHERE e.dispatched_to IS NULL AND e.completed_at IS NULL AND r.created_by = $1)
  + (SELECT coalesce(sum(octet_length(sealed_request)), 0) FROM batches WHERE status = 'running' AND created_by = $1)
  + (SELECT coalesce(sum(octet_length(sealed_request)), 0) FROM schedules WHERE created_by = $1))::bigint AS bytes`;

const BOUND_KEY = `SELECT digest, resource, expires_at AS "expiresAt" FROM idempotency WHERE api_key = $1 AND key = $2`;

/** The use cases of callers. */
export function executionMethods({ read, writers, transactions }: Context): ExecutionStore & IdempotencyStore {
  return {
    createExecution: (p) => {
      const { machineId, executionId, sealedInput } = p.execution;
      return writers.write(machineId, {
        needs: {
          machines: [machineId],
          creates: 'execution',
          reuses: true,
          ...onBehalf(p, executionId),
          ...(p.mayExist === true && { executions: [executionId] }),
        },
        bytes: sealedInput?.length ?? 0,
        run: (tx) => createExecution(tx, p),
      });
    },
    requestCancel: (p) => {
      const { machineId, executionId } = p;
      return writers.write(machineId, {
        needs: { machines: [machineId], executions: [executionId], reuses: true, ...onBehalf(p, executionId) },
        run: (tx) => requestCancel(tx, p),
      });
    },
    async findReplay({ idempotency, now }) {
      const { apiKeyId, key } = idempotency;
      const [bound] = await read<BoundKey>({ name: 'bound-key', text: BOUND_KEY, values: [apiKeyId, key] });
      return replayOf(bound, idempotency, now);
    },
    bindIdempotency: (p) =>
      writers.write(p.resource, { needs: onBehalf(p, p.resource), run: (tx) => bindIdempotency(tx, p) }),
    releaseIdempotency: ({ apiKeyId, key }) =>
      transactions.run(async (connection) => {
        await connection.run({
          text: 'DELETE FROM idempotency WHERE api_key = $1 AND key = $2',
          values: [apiKeyId, key],
        });
      }),
    async queuedBytes({ createdBy }) {
      const [row] = await read<{ bytes: number }>({ name: 'queued-bytes', text: QUEUED_BYTES, values: [createdBy] });
      return row?.bytes ?? 0;
    },
    async getExecution({ machineId, executionId }) {
      const text = `${SELECT_EXECUTION} WHERE e.public_id = $1 AND m.public_id = $2`;
      const [row] = await read<ExecutionRow>({ name: 'get-execution', text, values: [executionId, machineId] });
      return row && toExecution(row);
    },
    async listExecutions({ machineId, status, limit, after = Number.MAX_SAFE_INTEGER }) {
      const values = [machineId, after, limit + 1];
      const rows = await read<ExecutionRow>(
        status === undefined
          ? { name: 'list-executions', text: LIST, values: values }
          : { name: 'list-executions-by-status', text: LIST_BY_STATUS, values: [...values, status] },
      );
      return toPage(rows, limit, (row) => row.id, toExecution);
    },
    async listTerminals({ machineId, endedAfter, limit, after = Number.MAX_SAFE_INTEGER }) {
      const values = [machineId, endedAfter, after, limit + 1];
      return toPage(await read<ExecutionRow>({ text: LIST_TERMINALS, values }), limit, (row) => row.id, toExecution);
    },
    async listAllExecutions({ since = 0, ...query }) {
      const rows = await newestExecutions(read, { ...query, since });
      // Executions later in the list are older.
      const older = rows.findIndex((row) => row.created_at < since);
      return toPage(older === -1 ? rows : rows.slice(0, older), query.limit, (row) => row.id, toExecution);
    },
  };
}

const KEY_OF = '(SELECT id FROM executions WHERE public_id = $1)';
/** Selects rows up to the requested bytes, by the running sum before each row, so that no further chunks are sent. */
const LIST_EVENTS = `SELECT sequence, at, type, status, exit_code, signal, error_code, error_message, chunk AS bytes FROM (
    SELECT v.*, coalesce(sum(octet_length(chunk)) OVER (ORDER BY sequence ROWS UNBOUNDED PRECEDING), 0) AS sum,
      row_number() OVER (ORDER BY sequence) AS place
    FROM (SELECT * FROM events WHERE execution_id = ${KEY_OF} AND sequence > $2 ORDER BY sequence LIMIT $3) v) w
  WHERE sum <= $4 OR place = 1 ORDER BY sequence`;
/** Selects the chunk that contains the byte at an offset, and the chunks after it up to the last requested byte. */
const READ_STREAM = `SELECT stream_offset, chunk AS bytes FROM events
  WHERE execution_id = ${KEY_OF} AND type = $2 AND stream_offset >= (
    SELECT max(stream_offset) FROM events WHERE execution_id = ${KEY_OF} AND type = $2 AND stream_offset <= $3)
    AND stream_offset < $4 ORDER BY stream_offset`;

const READ_STREAMED = `SELECT stream_end - octet_length(bytes) AS stream_offset, bytes FROM stream_chunks
  WHERE execution_id = ${KEY_OF} AND stream = $2 AND stream_end > $3 AND stream_end - octet_length(bytes) < greatest($4::bigint,
    (SELECT min(stream_end) FROM stream_chunks WHERE execution_id = ${KEY_OF} AND stream = $2 AND stream_end > $3))
  ORDER BY stream_end`;
/** Selects the next chunks of each stream in one statement, so that both streams are read at the same moment. */
const READ_MERGED = (['stdout', 'stderr'] as const)
  .flatMap((stream, index) => [
    `(SELECT '${stream}' AS stream, sequence AS place, stream_offset, chunk AS bytes FROM events
      WHERE execution_id = ${KEY_OF} AND type = '${stream}' AND stream_offset >= (
        SELECT max(stream_offset) FROM events WHERE execution_id = ${KEY_OF} AND type = '${stream}' AND stream_offset <= $${index + 2})
      ORDER BY stream_offset LIMIT ${MERGED_ROWS})`,
    `(SELECT '${stream}', id, stream_end - octet_length(bytes), bytes FROM stream_chunks
      WHERE execution_id = ${KEY_OF} AND stream = '${stream}' AND stream_end > $${index + 2}
      ORDER BY stream_end LIMIT ${MERGED_ROWS})`,
  ])
  .join(' UNION ALL ');

/** The event log. */
export function eventMethods({ read }: Context): EventStore {
  return {
    async listEvents({ executionId, afterSequence, limit, maxBytes }) {
      const values = [executionId, afterSequence, limit, maxBytes];
      const rows = await read<EventRow>({ name: 'list-events', text: LIST_EVENTS, values });
      return pageOf(rows, maxBytes);
    },
    async readStream({ executionId, stream, offset, maxBytes }) {
      const byteLimit = Math.max(1, maxBytes);
      const values = [executionId, stream, offset, offset + byteLimit];
      const [logged, streamed] = await Promise.all([
        read<ChunkRow>({ name: 'read-stream', text: READ_STREAM, values }),
        read<ChunkRow>({ name: 'read-streamed', text: READ_STREAMED, values }),
      ]);
      return gather(streamed.length > 0 ? streamed : logged, offset, byteLimit);
    },
    async readMerged({ executionId, offsets }) {
      const values = [executionId, offsets.stdout, offsets.stderr];
      const rows = await read<PlacedChunkRow & { stream: Stream }>({ name: 'read-merged', text: READ_MERGED, values });
      const next = (stream: Stream) => rows.filter((row) => row.stream === stream).sort((a, b) => a.place - b.place);
      return merged({ stdout: next('stdout'), stderr: next('stderr') }, offsets);
    },
  };
}
