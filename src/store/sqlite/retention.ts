/**
 * Deletes old rows in small steps. Deleting overwrites every page that it frees (secure_delete), so each step is bounded by bytes as well
 * as by rows: creates that wait behind it in the queue of the writer wait a few ms.
 */
import type { Store } from '../store.ts';
import { type Context, read } from './tables/context.ts';
import { SPAN_KEYS, spanOf } from './tables/list-keys.ts';

type Methods = Pick<Store, 'deleteFinished' | 'maintain' | 'usedBytes'>;

/** Bytes of requests and output of the executions deleted in one step, at most (except for the first). */
const DELETE_BYTES = 8 * 1024 * 1024;
/** Rows and bytes of the event log cleared in one step. */
const CLEAR_ROWS = 500;
const CLEAR_BYTES = 2 * 1024 * 1024;
/** Chunks of unread output per step, each of at most 64 KiB. */
const CLEAR_CHUNKS = 32;
/** Pieces of artifacts per step, at most 64 KiB each. */
const CLEAR_PIECES = 32;
/** Free bytes of the file that are kept for new data. More than that is returned to the disk. */
const SPARE_BYTES = 32 * 1024 * 1024;
/** Pages moved within the file in one step, each with a lookup of its references. */
const SHRINK_PAGES = 256;

interface Finished {
  id: number;
  bytes: number;
}

interface Left {
  sequence: number;
  chunk_id: number | null;
  bytes: number;
}

/** The statements that delete a finished execution. Its log is cleared later. */
const DELETIONS = [
  'INSERT INTO pending_purge (execution_id) VALUES (?)',
  'DELETE FROM callbacks WHERE execution_id = ?',
  'DELETE FROM requests WHERE execution_id = ?',
  'UPDATE execution_keys SET highest_deleted = max(highest_deleted, ?)',
  'DELETE FROM executions WHERE id = ?',
];
/** Deletes the span of a deleted execution from what lists search by, if no execution of it is left. */
const DELETE_SPAN = `DELETE FROM succeeded_spans WHERE span = $span AND NOT EXISTS
  (SELECT 1 FROM executions e WHERE e.id >= $span * ${SPAN_KEYS} AND e.id < ($span + 1) * ${SPAN_KEYS})`;

/** The use cases of retention. */
export function retentionMethods({ db, write, chunks, tails }: Context): Methods {
  const finished = db.prepare<[number, number], Finished>(
    `SELECT e.id, e.stdout_kept + e.stderr_kept + octet_length(r.command) + octet_length(r.env_keys) AS bytes
     FROM executions e CROSS JOIN requests r ON r.execution_id = e.id
     WHERE e.completed_at < ? ORDER BY e.completed_at LIMIT ?`,
  );
  const deletions = prepareDeletions(db);
  const pending = db.prepare<[], number | null>('SELECT min(execution_id) FROM pending_purge').pluck();
  const log = db.prepare<[number], Left>(
    `SELECT v.sequence, v.chunk_id, coalesce(octet_length(c.bytes), 0) AS bytes
     FROM events v LEFT JOIN chunks c ON c.id = v.chunk_id WHERE v.execution_id = ? ORDER BY v.sequence LIMIT ${CLEAR_ROWS}`,
  );
  const clearEvents = db.prepare('DELETE FROM events WHERE execution_id = ? AND sequence <= ?');
  const clearChunk = db.prepare('DELETE FROM chunks WHERE id = ?');
  const cleared = db.prepare('DELETE FROM pending_purge WHERE execution_id = ?');

  const clearArtifacts = artifactPurge(db);

  function deleteFinished(before: number, limit: number): number {
    let bytes = 0;
    let deleted = 0;
    for (const execution of finished.all(before, limit)) {
      bytes += execution.bytes;
      if (deleted > 0 && bytes > DELETE_BYTES) break;
      for (const deletion of deletions) deletion(execution.id);
      deleted += 1;
    }
    return deleted;
  }

  /** Clears as much of one execution's log as the budget allows. Once the log is empty, the execution leaves the list of pending purges. */
  function clearLog(execution: number, budget: { rows: number; bytes: number }): void {
    const streamed = chunks.deleteSome(execution, CLEAR_CHUNKS);
    budget.rows -= streamed.chunks;
    budget.bytes -= streamed.bytes;
    if (streamed.chunks === CLEAR_CHUNKS) return;
    budget.bytes -= tails.delete(execution);
    const left = log.all(execution);
    let last = 0;
    for (const event of left) {
      if (budget.bytes <= 0) break;
      if (event.chunk_id !== null) clearChunk.run(event.chunk_id);
      budget.bytes -= event.bytes;
      budget.rows -= 1;
      last = event.sequence;
    }
    clearEvents.run(execution, last);
    if (left.length < CLEAR_ROWS && last === (left.at(-1)?.sequence ?? 0)) cleared.run(execution);
  }

  /** Returns a small part of the free pages to the disk. False: there are none to return. */
  function shrink(): Promise<boolean> {
    return write(() => {
      const free = pages(db, 'freelist_count');
      // The statement returns one page per step: exec runs it to its end. It has no effect on a file made before auto_vacuum was set.
      db.exec(`PRAGMA incremental_vacuum(${SHRINK_PAGES})`);
      return pages(db, 'freelist_count') < free;
    }, SHRINK_PAGES * pages(db, 'page_size'));
  }

  /** Clears the logs of as many deleted executions as fit into one step. */
  function clear(): boolean {
    const budget = { rows: CLEAR_ROWS, bytes: CLEAR_BYTES };
    let found = false;
    while (budget.rows > 0 && budget.bytes > 0) {
      const execution = pending.get() ?? null;
      if (execution === null) return found;
      found = true;
      clearLog(execution, budget);
    }
    return true;
  }

  return {
    deleteFinished: ({ before, limit }) => write(() => deleteFinished(before, limit)),
    maintain: async ({ maxBytes }) => {
      if (await write(() => clear() || clearArtifacts(), CLEAR_BYTES)) {
        moveLogToFile(db);
        return true;
      }
      return (await read(() => hasTooMuchRoom(db, maxBytes))) && shrink();
    },
    usedBytes: () => read(() => sizeOf(db).usedBytes),
  };
}

/** Returns what deletes a finished execution, by its key. */
function prepareDeletions(db: Context['db']): ((execution: number) => unknown)[] {
  const statements = DELETIONS.map((sql) => db.prepare<[number]>(sql));
  const deleteSpan = db.prepare<[{ span: number }]>(DELETE_SPAN);
  return [
    ...statements.map((statement) => (execution: number) => statement.run(execution)),
    (execution) => deleteSpan.run({ span: spanOf(execution) }),
  ];
}

/** Clears pieces of deleted artifacts. False if there are none. */
function artifactPurge(db: Context['db']): () => boolean {
  const first = db.prepare<[], number | null>('SELECT min(artifact_id) FROM artifact_purge').pluck();
  const clear = db.prepare(
    'DELETE FROM artifact_pieces WHERE rowid IN (SELECT rowid FROM artifact_pieces WHERE artifact_id = ? LIMIT ?)',
  );
  const cleared = db.prepare('DELETE FROM artifact_purge WHERE artifact_id = ?');
  return () => {
    const artifact = first.get() ?? null;
    if (artifact === null) return false;
    if (clear.run(artifact, CLEAR_PIECES).changes < CLEAR_PIECES) cleared.run(artifact);
    return true;
  };
}

function hasTooMuchRoom(db: Context['db'], maxBytes: number): boolean {
  const { usedBytes, freeBytes } = sizeOf(db);
  return freeBytes > SPARE_BYTES || (maxBytes > 0 && freeBytes > 0 && usedBytes + freeBytes > maxBytes);
}

/** Writes the write-ahead log back into the file. Otherwise it would grow to 16 MiB, and one later writer would wait for all of it. */
function moveLogToFile(db: Context['db']): void {
  db.pragma('wal_checkpoint(PASSIVE)');
}

function sizeOf(db: Context['db']): { usedBytes: number; freeBytes: number } {
  const free = pages(db, 'freelist_count');
  const pageBytes = pages(db, 'page_size');
  return { usedBytes: (pages(db, 'page_count') - free) * pageBytes, freeBytes: free * pageBytes };
}

function pages(db: Context['db'], name: 'page_count' | 'freelist_count' | 'page_size'): number {
  return db.pragma(name, { simple: true }) as number;
}
