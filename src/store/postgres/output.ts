/** Output that is kept until it is read. */
import { abandonOutput } from '../../core/decisions/output-streams.ts';
import { type ExecutionRow, toExecution, toRecord } from '../rows/execution-row.ts';
import type { OutputStore, ReleaseOutcome } from '../store.ts';
import type { Connection } from './connections/connection.ts';
import type { Context } from './context.ts';
import { SELECT_EXECUTION } from './statements/select-execution.ts';

type Release = Parameters<OutputStore['releaseOutput']>[0];

const FIND_IDLE = `SELECT public_id AS execution FROM executions
  WHERE output_mode = 'stream' AND completed_at IS NULL AND NOT is_terminal AND output_read_at < $1 ORDER BY output_read_at LIMIT $2`;
const IDLE_TERMINALS = `${SELECT_EXECUTION} WHERE e.output_mode = 'stream' AND e.completed_at IS NULL AND e.is_terminal
  AND e.started_at IS NOT NULL AND e.output_read_at < $1 ORDER BY e.output_read_at LIMIT $2`;

/** A terminal has stdout only. */
const RELEASE_ENDED = `WITH ended AS (
    SELECT id FROM executions WHERE is_terminal AND stdout_released < stdout_kept AND completed_at < $1 LIMIT $2 FOR UPDATE),
  released AS (UPDATE executions SET stdout_released = stdout_kept WHERE id IN (SELECT id FROM ended)),
  forgotten AS (DELETE FROM stream_chunks WHERE execution_id IN (SELECT id FROM ended))
  SELECT count(*)::int AS count FROM ended`;

const READ_TAIL = `SELECT t.bytes FROM output_tails t JOIN executions e ON e.id = t.execution_id
  WHERE e.public_id = $1 AND t.stream = $2`;

/** The OutputStore of PostgreSQL. */
export function outputMethods({ read, writers, transactions }: Context): OutputStore {
  return {
    async outputBounds({ executionId, stream }) {
      const text = `SELECT ${stream}_released AS start, ${stream}_kept AS "end" FROM executions WHERE public_id = $1`;
      const statement = { name: `bounds-of-${stream}`, text, values: [executionId] };
      const [row] = await read<{ start: number; end: number }>(statement);
      return row ?? { start: 0, end: 0 };
    },
    async outputTail({ executionId, stream }) {
      const statement = { name: 'output-tail', text: READ_TAIL, values: [executionId, stream] };
      const [row] = await read<{ bytes: Buffer }>(statement);
      return row?.bytes;
    },
    releaseOutput: (p) => transactions.run((connection) => release(connection, p)),
    outputRead: ({ executionId, until }) =>
      transactions.run(async (connection) => {
        const text = 'UPDATE executions SET output_read_at = $1 WHERE public_id = $2';
        await connection.run({ text, values: [until, executionId] });
      }),
    async listIdleTerminals({ idleSince, limit }) {
      return (await read<ExecutionRow>({ text: IDLE_TERMINALS, values: [idleSince, limit] })).map(toExecution);
    },
    releaseEndedTerminals: ({ endedBefore, limit }) =>
      transactions.run(async (connection) => {
        const query = { text: RELEASE_ENDED, values: [endedBefore, limit] };
        const [row] = await connection.query<{ count: number }>(query);
        return row?.count ?? 0;
      }),
    async abandonIdleOutput({ idleSince, now, limit }) {
      const found = await read<{ execution: string }>({ text: FIND_IDLE, values: [idleSince, limit] });
      if (found.length === 0) return [];
      const executions = found.map(({ execution }) => execution);
      return writers.write('', {
        needs: { executions },
        run: (tx) =>
          executions.flatMap((executionId) => {
            const record = tx.execution(executionId);
            if (record?.execution.outputMode !== 'stream' || record.execution.completedAt !== undefined) return [];
            const change = abandonOutput(record, now);
            tx.save(change);
            return [change.after.execution];
          }),
      });
    },
  };
}

async function release(connection: Connection, p: Release): Promise<ReleaseOutcome> {
  const lock = `${SELECT_EXECUTION} WHERE e.public_id = $1 AND m.public_id = $2 FOR UPDATE OF e`;
  const [row] = await connection.query<ExecutionRow>({ text: lock, values: [p.executionId, p.machineId] });
  if (row === undefined) return { outcome: 'not_found' };
  const { execution, key, kept, released: before } = toRecord(row);
  if (execution.outputMode === undefined) return { outcome: 'not_streamed' };
  if (p.offset > kept[p.stream]) return { outcome: 'past_end' };
  const released = { ...before, [p.stream]: Math.max(before[p.stream], p.offset) };
  const update = `UPDATE executions SET ${p.stream}_released = $1,
    output_read_at = CASE WHEN is_terminal THEN output_read_at ELSE $2 END WHERE id = $3`;
  const forget = 'DELETE FROM stream_chunks WHERE execution_id = $1 AND stream = $2 AND stream_end <= $3';
  await Promise.all([
    connection.run({ text: update, values: [released[p.stream], p.now, key] }),
    connection.run({ text: forget, values: [key, p.stream, released[p.stream]] }),
  ]);
  return { outcome: 'released', execution, released };
}
