/** The table of output that is kept until it is read, apart from the event log. */
import type { ExecutionRecord, StreamedChunk } from '../../../core/decisions/execution-draft.ts';
import type { Stream } from '../../../core/execution.ts';
import type { PlacedChunkRow } from '../../rows/event-row.ts';
import type { Database } from '../file/database.ts';

export interface StreamChunks {
  /** Appends chunks; inside a write. */
  append(key: number, chunks: readonly StreamedChunk[]): void;
  /** Writes how far both streams were released, and deletes what lies before that; inside a write. */
  release(record: Pick<ExecutionRecord, 'key' | 'released'>): void;
  /** Deletes up to `limit` chunks of a deleted execution; inside a write. */
  deleteSome(key: number, limit: number): { chunks: number; bytes: number };
  /** The bytes from `offset` on of the chunks of a stream, read one by one. */
  from(key: number, stream: Stream, offset: number): Iterable<PlacedChunkRow>;
}

/** The chunks of `db`. */
export function createStreamChunks(db: Database): StreamChunks {
  const insert = db.prepare('INSERT INTO stream_chunks (execution_id, stream, stream_end, bytes) VALUES (?, ?, ?, ?)');
  const from = db.prepare<[number, Stream, number], PlacedChunkRow>(
    `SELECT id AS place, stream_end - octet_length(bytes) AS stream_offset, bytes FROM stream_chunks
     WHERE execution_id = ? AND stream = ? AND stream_end > ? ORDER BY stream_end`,
  );
  const released = db.prepare('UPDATE executions SET stdout_released = ?, stderr_released = ? WHERE id = ?');
  const forget = db.prepare('DELETE FROM stream_chunks WHERE execution_id = ? AND stream = ? AND stream_end <= ?');
  const deleteSome = db
    .prepare<[number, number], number>(
      `DELETE FROM stream_chunks WHERE id IN (SELECT id FROM stream_chunks WHERE execution_id = ? LIMIT ?)
       RETURNING octet_length(bytes)`,
    )
    .pluck();
  return {
    append(key, chunks) {
      for (const { stream, offset, bytes } of chunks) insert.run(key, stream, offset + bytes.length, bytes);
    },
    release({ key, released: { stdout, stderr } }) {
      released.run(stdout, stderr, key);
      // Output is no secret: zeros in its place would be written twice, as it was itself. The next bytes take the place soon.
      db.pragma('secure_delete = FAST');
      forget.run(key, 'stdout', stdout);
      forget.run(key, 'stderr', stderr);
      db.pragma('secure_delete = ON');
    },
    deleteSome(key, limit) {
      const deleted = deleteSome.all(key, limit);
      return { chunks: deleted.length, bytes: deleted.reduce((sum, bytes) => sum + bytes, 0) };
    },
    from: (key, stream, offset) => from.iterate(key, stream, offset),
  };
}
