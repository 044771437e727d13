/** Keeps what lists over all machines search by: the newest execution of each machine, and the spans of keys in which an execution succeeded. */
import type { Database } from '../file/database.ts';

/** Number of consecutive keys in a span of `succeeded_spans`. A list reads at most one span for each execution that it returns. */
export const SPAN_KEYS = 64;

/** Returns the span of a key. */
export function spanOf(execution: number): number {
  return Math.floor(execution / SPAN_KEYS);
}

/** Its methods run inside a write. */
export class ListKeys {
  readonly #setNewest;
  readonly #addSpan;

  constructor(db: Database) {
    this.#setNewest = db.prepare('UPDATE machines SET newest_execution = ? WHERE id = ?');
    this.#addSpan = db.prepare('INSERT OR IGNORE INTO succeeded_spans (span) VALUES (?)');
  }

  /** Records that a machine got an execution: keys rise, so that it is its newest one. */
  created(machine: number, execution: number): void {
    this.#setNewest.run(execution, machine);
  }

  /** Records that an execution succeeded. Only the first of a span writes a row. */
  succeeded(execution: number): void {
    this.#addSpan.run(spanOf(execution));
  }
}
