/** Converts between events and their rows, for any database. */
import type { ExecutionStatus, FailureCode, Stream } from '../../core/execution.ts';
import { type ExecutionEvent, type OutputChunk, OutputReleasedError } from '../store.ts';

export interface EventRow {
  sequence: number;
  at: number;
  type: 'lifecycle' | Stream;
  status: string | null;
  exit_code: number | null;
  signal: number | null;
  error_code: string | null;
  error_message: string | null;
  bytes: Buffer | null;
}

export interface ChunkRow {
  stream_offset: number;
  bytes: Buffer;
}

/** A chunk and its place among the chunks of both streams. */
export interface PlacedChunkRow extends ChunkRow {
  place: number;
}

/** Maximum number of chunks of each stream in one call of `merged`. */
export const MERGED_ROWS = 32;

/** Returns the events of the first rows, until their chunks together exceed `maxBytes`; always at least one. */
export function pageOf(rows: Iterable<EventRow>, maxBytes: number): ExecutionEvent[] {
  const events: ExecutionEvent[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.bytes?.length ?? 0;
    if (events.length > 0 && bytes > maxBytes) break;
    events.push(toEvent(row));
  }
  return events;
}

/**
 * Returns the bytes from `offset` on, at most `maxBytes`, of chunks in order. Reads no chunk that it does not need. Throws
 * OutputReleasedError.
 */
export function gather(chunks: Iterable<ChunkRow>, offset: number, maxBytes: number): Buffer {
  const parts: Buffer[] = [];
  let left = maxBytes;
  for (const { stream_offset: start, bytes } of chunks) {
    if (parts.length === 0 && start > offset) throw new OutputReleasedError(`bytes before ${start} were released`);
    const from = Math.max(0, offset - start);
    const part = bytes.subarray(from, from + left);
    parts.push(part);
    left -= part.length;
    if (left === 0) break;
  }
  return Buffer.concat(parts);
}

/**
 * Returns the chunks of both streams in the order of their places, from `offsets` on. `rows`: the next chunks of each stream. A stream with
 * MERGED_ROWS chunks may have more, so chunks of the other stream after its last one are left for the next call. Throws
 * OutputReleasedError.
 */
export function merged(rows: Record<Stream, PlacedChunkRow[]>, offsets: Record<Stream, number>): OutputChunk[] {
  const upTo = Math.min(
    ...Object.values(rows).map((own) => (own.length < MERGED_ROWS ? Infinity : (own.at(-1)?.place ?? 0))),
  );
  return (['stdout', 'stderr'] as const)
    .flatMap((stream) => rows[stream].map((row, index) => ({ stream, row, isFirst: index === 0 })))
    .filter(({ row }) => row.place <= upTo)
    .sort((a, b) => a.row.place - b.row.place)
    .map(({ stream, row, isFirst }) => ({
      stream,
      bytes: isFirst ? gather([row], offsets[stream], row.bytes.length) : row.bytes,
    }))
    .filter(({ bytes }) => bytes.length > 0);
}

function toEvent(row: EventRow): ExecutionEvent {
  const { sequence, at } = row;
  if (row.type !== 'lifecycle') return { sequence, at, type: row.type, chunk: row.bytes ?? Buffer.alloc(0) };
  return {
    sequence,
    at,
    type: 'lifecycle',
    status: row.status as ExecutionStatus,
    ...(row.exit_code === null ? {} : { exitCode: row.exit_code }),
    ...(row.signal === null ? {} : { signal: row.signal }),
    ...(row.error_code === null ? {} : { errorCode: row.error_code as FailureCode }),
    ...(row.error_message === null ? {} : { errorMessage: row.error_message }),
  };
}
