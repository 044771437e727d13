/**
 * The events of executions. The first event of an execution is written together with its second one: until then the row of the execution
 * has the same data, and a create changes one page less.
 */
import type { Stream } from '../../../core/execution.ts';
import type { ExecutionRecord, LogEntry } from '../../../core/decisions/execution-draft.ts';
import { type EventRow, gather, MERGED_ROWS, merged, type PlacedChunkRow, pageOf } from '../../rows/event-row.ts';
import type { ExecutionEvent, OutputChunk } from '../../store.ts';
import type { Database } from '../file/database.ts';
import type { StreamChunks } from './stream-chunks.ts';

export interface EventLog {
  /** Appends events of an execution that is about to be saved as `after`, in order. */
  append(after: Pick<ExecutionRecord, 'key' | 'execution'>, entries: readonly LogEntry[]): void;
  list(p: { executionId: string; afterSequence: number; limit: number; maxBytes: number }): ExecutionEvent[];
  readStream(p: { executionId: string; stream: Stream; offset: number; maxBytes: number }): Buffer;
  readMerged(p: { executionId: string; offsets: Record<Stream, number> }): OutputChunk[];
}

const KEY_OF = '(SELECT id FROM executions WHERE public_id = ?)';
const LIST = `SELECT v.sequence, v.at, v.type, v.status, v.exit_code, v.signal, v.error_code, v.error_message, c.bytes
  FROM events v LEFT JOIN chunks c ON c.id = v.chunk_id
  WHERE v.execution_id = ${KEY_OF} AND v.sequence > ? ORDER BY v.sequence LIMIT ?`;
/** The first event of an execution that has no other, taken from its row. */
const FIRST = `1 AS sequence, created_at AS at, 'lifecycle' AS type, status`;
const WRITE_FIRST = `INSERT INTO events (execution_id, sequence, at, type, status) SELECT id, ${FIRST} FROM executions`;
/** The offset at which the chunk that contains a given offset begins. */
const SEEK = `SELECT stream_offset FROM events
  WHERE execution_id = ? AND type = ? AND stream_offset IS NOT NULL AND stream_offset <= ?
  ORDER BY stream_offset DESC LIMIT 1`;
const READ = `SELECT v.sequence AS place, v.stream_offset, c.bytes FROM events v CROSS JOIN chunks c ON c.id = v.chunk_id
  WHERE v.execution_id = ? AND v.type = ? AND v.stream_offset IS NOT NULL AND v.stream_offset >= ? ORDER BY v.stream_offset`;

/** Writes all first events that are not written yet, for programs that read the table directly. */
export function writeFirstEvents(db: Database): void {
  db.exec(`${WRITE_FIRST} WHERE last_sequence = 1 ON CONFLICT DO NOTHING`);
}

/** The log of `db`. `streamed`: output that is kept apart from the events. */
export function createEventLog(db: Database, streamed: Pick<StreamChunks, 'from'>): EventLog {
  const statements = {
    lifecycle: db.prepare(
      `INSERT INTO events (execution_id, sequence, at, type, status, exit_code, signal, error_code, error_message)
       VALUES (?, ?, ?, 'lifecycle', ?, ?, ?, ?, ?)`,
    ),
    output: db.prepare(
      'INSERT INTO events (execution_id, sequence, at, type, stream_offset, chunk_id) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    chunk: db.prepare('INSERT INTO chunks (bytes) VALUES (?)'),
    writeFirst: db.prepare(`${WRITE_FIRST} WHERE id = ? ON CONFLICT DO NOTHING`),
    onlyFirst: db.prepare<[string], EventRow>(
      `SELECT ${FIRST}, NULL AS exit_code, NULL AS signal, NULL AS error_code, NULL AS error_message, NULL AS bytes
       FROM executions WHERE public_id = ? AND last_sequence = 1`,
    ),
    list: db.prepare<[string, number, number], EventRow>(LIST),
    key: db.prepare<[string], number>('SELECT id FROM executions WHERE public_id = ?').pluck(),
    seek: db.prepare<[number, Stream, number], number>(SEEK).pluck(),
    read: db.prepare<[number, Stream, number], PlacedChunkRow>(READ),
  };
  const chunksFrom = (key: number, stream: Stream, offset: number): Iterable<PlacedChunkRow> => {
    const start = statements.seek.get(key, stream, offset);
    return start === undefined ? streamed.from(key, stream, offset) : statements.read.iterate(key, stream, start);
  };
  return {
    append({ key, execution }, entries) {
      if (entries.length > 0 && execution.lastSequence - entries.length === 1) statements.writeFirst.run(key);
      for (const entry of entries) {
        if (entry.type === 'lifecycle') {
          const { sequence, at, status, exitCode = null, signal = null, errorCode = null, errorMessage = null } = entry;
          statements.lifecycle.run(key, sequence, at, status, exitCode, signal, errorCode, errorMessage);
        } else {
          const stored = statements.chunk.run(entry.chunk);
          const { sequence, at, type, offset } = entry;
          statements.output.run(key, sequence, at, type, offset, Number(stored.lastInsertRowid));
        }
      }
    },
    list({ executionId, afterSequence, limit, maxBytes }) {
      const first = afterSequence === 0 ? statements.onlyFirst.get(executionId) : undefined;
      if (first !== undefined) return pageOf([first], maxBytes);
      return pageOf(statements.list.iterate(executionId, afterSequence, limit), maxBytes);
    },
    readStream({ executionId, stream, offset, maxBytes }) {
      const key = statements.key.get(executionId);
      if (key === undefined) return Buffer.alloc(0);
      return gather(chunksFrom(key, stream, offset), offset, Math.max(1, maxBytes));
    },
    readMerged({ executionId, offsets }) {
      const key = statements.key.get(executionId);
      if (key === undefined) return [];
      const next = (stream: Stream): PlacedChunkRow[] => firstOf(chunksFrom(key, stream, offsets[stream]), MERGED_ROWS);
      return merged({ stdout: next('stdout'), stderr: next('stderr') }, offsets);
    },
  };
}

function firstOf<T>(rows: Iterable<T>, count: number): T[] {
  const first: T[] = [];
  for (const row of rows) if (first.push(row) === count) break;
  return first;
}
