/** The ends of streams of which more came than their logs keep. */
import type { OutputTail } from '../../../core/decisions/execution-draft.ts';
import type { Stream } from '../../../core/execution.ts';
import type { Database } from '../file/database.ts';

export interface OutputTails {
  /** Keeps what is the first of its stream; inside a write. */
  add(key: number, tails: readonly OutputTail[]): void;
  /** Deletes those of an execution that is deleted, and returns their bytes; inside a write. */
  delete(key: number): number;
  read(executionId: string, stream: Stream): Buffer | undefined;
}

/** The tails of `db`. */
export function createOutputTails(db: Database): OutputTails {
  const insert = db.prepare(
    'INSERT INTO output_tails (execution, stream, bytes) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const remove = db
    .prepare<[number], number>('DELETE FROM output_tails WHERE execution = ? RETURNING octet_length(bytes)')
    .pluck();
  const read = db
    .prepare<[string, Stream], Buffer>(
      `SELECT t.bytes FROM output_tails t JOIN executions e ON e.execution = t.execution
       WHERE e.execution_id = ? AND t.stream = ?`,
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
