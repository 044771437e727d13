/** Output that is kept until it is read. */
import { abandonOutput } from '../../core/decisions/output-streams.ts';
import type { OutputStore } from '../store.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { type Context, read } from './tables/context.ts';
import { SELECT_EXECUTION } from './tables/select-execution.ts';

interface BoundsRow {
  stdout_released: number;
  stdout_kept: number;
  stderr_released: number;
  stderr_kept: number;
}

/** Sets the time of the last read, except for a terminal: its output is cut as it grows, whether or not it was read. */
const READ_AT = 'output_read_at = CASE is_terminal WHEN 1 THEN output_read_at ELSE ? END';

/** The OutputStore of SQLite. */
export function outputMethods({ db, write, tx, chunks, tails }: Context): OutputStore {
  const bounds = db.prepare<[string], BoundsRow>(
    'SELECT stdout_released, stdout_kept, stderr_released, stderr_kept FROM executions WHERE public_id = ?',
  );
  const readNow = db.prepare(`UPDATE executions SET ${READ_AT} WHERE id = ?`);
  const touch = db.prepare('UPDATE executions SET output_read_at = ? WHERE public_id = ?');
  const idle = db
    .prepare<[number, number], string>(
      `SELECT public_id FROM executions
       WHERE output_mode = 'stream' AND completed_at IS NULL AND is_terminal = 0 AND output_read_at < ? ORDER BY output_read_at LIMIT ?`,
    )
    .pluck();
  const idleTerminals = db.prepare<[number, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.output_mode = 'stream' AND e.completed_at IS NULL AND e.is_terminal = 1
     AND e.started_at IS NOT NULL AND e.output_read_at < ? ORDER BY e.output_read_at LIMIT ?`,
  );

  const releaseEnded = prepareReleaseEnded(db);

  function release(p: Parameters<OutputStore['releaseOutput']>[0]): Awaited<ReturnType<OutputStore['releaseOutput']>> {
    const record = tx.execution(p.executionId);
    if (record?.execution.machineId !== p.machineId) return { outcome: 'not_found' };
    const { execution, key, kept } = record;
    if (execution.outputMode === undefined) return { outcome: 'not_streamed' };
    if (p.offset > kept[p.stream]) return { outcome: 'past_end' };
    const before = record.released;
    const released = { ...before, [p.stream]: Math.max(before[p.stream], p.offset) };
    readNow.run(p.now, key);
    chunks.release({ key, released });
    return { outcome: 'released', execution, released };
  }

  return {
    outputBounds: ({ executionId, stream }) =>
      read(() => {
        const row = bounds.get(executionId);
        if (row === undefined) return { start: 0, end: 0 };
        return stream === 'stdout'
          ? { start: row.stdout_released, end: row.stdout_kept }
          : { start: row.stderr_released, end: row.stderr_kept };
      }),
    outputTail: ({ executionId, stream }) => read(() => tails.read(executionId, stream)),
    releaseOutput: (p) => write(() => release(p)),
    outputRead: ({ executionId, until }) =>
      write(() => {
        touch.run(until, executionId);
      }),
    listIdleTerminals: ({ idleSince, limit }) => read(() => idleTerminals.all(idleSince, limit).map(toExecution)),
    releaseEndedTerminals: ({ endedBefore, limit }) => write(() => releaseEnded(endedBefore, limit)),
    abandonIdleOutput: ({ idleSince, now, limit }) =>
      write(() =>
        idle.all(idleSince, limit).flatMap((executionId) => {
          const record = tx.execution(executionId);
          if (record === undefined) return [];
          const change = abandonOutput(record, now);
          tx.save(change);
          return [change.after.execution];
        }),
      ),
  };
}

/** Prepares the deletion of the contents of up to `limit` terminals that ended before a time, which are stdout only. It returns their number. */
function prepareReleaseEnded(db: Context['db']): (endedBefore: number, limit: number) => number {
  const find = db
    .prepare<[number, number], number>(
      'SELECT id FROM executions WHERE is_terminal = 1 AND stdout_released < stdout_kept AND completed_at < ? LIMIT ?',
    )
    .pluck();
  const release = db.prepare('UPDATE executions SET stdout_released = stdout_kept WHERE id = ?');
  const forget = db.prepare('DELETE FROM stream_chunks WHERE execution_id = ?');
  return (endedBefore, limit) => {
    const ended = find.all(endedBefore, limit);
    for (const id of ended) {
      release.run(id);
      forget.run(id);
    }
    return ended.length;
  };
}
