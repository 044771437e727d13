/** The table of tails: the last bytes of streams that are longer than the part kept in their logs. */
import type { OutputTail } from '../../../core/decisions/execution-draft.ts';
import type { Stream } from '../../../core/execution.ts';
import type { Database } from '../file/database.ts';

export interface OutputTails {
  /** Stores tails; a stream that has one already keeps it. Inside a write. */
  add(key: number, tails: readonly OutputTail[]): void;
  /** Deletes the tails of a deleted execution, and returns their bytes; inside a write. */
  delete(key: number): number;
  read(executionId: string, stream: Stream): Buffer | undefined;
}

/** The tails of `db`. */
export function createOutputTails(db: Database): OutputTails {
  const insert = db.prepare(
    'INSERT INTO output_tails (execution_id, stream, bytes) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const remove = db
    .prepare<[number], number>('DELETE FROM output_tails WHERE execution_id = ? RETURNING octet_length(bytes)')
    .pluck();
  const read = db
    .prepare<[string, Stream], Buffer>(
      `SELECT t.bytes FROM output_tails t JOIN executions e ON e.id = t.execution_id
       WHERE e.public_id = ? AND t.stream = ?`,
    )
    .pluck();
  return {
    add(key, tails) {
      for (const { stream, bytes } of tails) insert.run(key, stream, bytes);
    },
    delete: (key) => remove.all(key).reduce((sum, bytes) => sum + bytes, 0),
    read: (executionId, stream) => read.get(executionId, stream),
  };
}
