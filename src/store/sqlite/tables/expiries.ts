/**
 * Finds the waiting executions that are due. An index of their times would cost each of them a page in two commits. So each machine has one
 * time, before which none of its waiting executions is due: a create sets it only if its own is earlier, and a search corrects it.
 */
import type { ExecutionRecord } from '../../../core/decisions/execution-draft.ts';
import { toRecord } from '../../rows/execution-row.ts';
import type { Database } from '../file/database.ts';
import { prepareRowsByKey } from './machine-executions.ts';

const WAITING = 'dispatch_number IS NULL AND completed_at IS NULL';
/** Machines whose times one search corrects. */
const MAX_MACHINES = 500;

/** Its methods run inside a write, except `next`. */
export class Expiries {
  readonly #note;
  readonly #machines;
  readonly #due;
  readonly #correct;
  readonly #next;
  readonly #byKeys;

  constructor(db: Database) {
    this.#note = db.prepare<{ at: number; machine: number }>(
      'UPDATE machines SET next_expiry = $at WHERE id = $machine AND (next_expiry IS NULL OR next_expiry > $at)',
    );
    this.#machines = db
      .prepare<[number, number], number>('SELECT id FROM machines WHERE next_expiry <= ? ORDER BY next_expiry LIMIT ?')
      .pluck();
    this.#due = db
      .prepare<[number, number], [number, number]>(
        `SELECT id, expires_at FROM executions WHERE machine_id = ? AND ${WAITING} AND expires_at <= ?`,
      )
      .raw();
    this.#correct = db.prepare<{ machine: number }>(
      `UPDATE machines SET next_expiry =
         (SELECT min(expires_at) FROM executions WHERE machine_id = $machine AND ${WAITING})
       WHERE id = $machine`,
    );
    this.#next = db
      .prepare<[], number | null>('SELECT min(next_expiry) FROM machines WHERE next_expiry IS NOT NULL')
      .pluck();
    this.#byKeys = prepareRowsByKey(db);
  }

  /** Notes that an execution of the machine waits until `at`. */
  created(machine: number, at: number): void {
    this.#note.run({ at, machine });
  }

  /**
   * Calls `end` with the executions that are due, at most `limit`, those of a machine in the order of their times. It ends all of them.
   * Some machines may be left for the next search, although fewer than `limit` were due.
   */
  endDue<T>(now: number, limit: number, end: (records: ExecutionRecord[]) => T[]): T[] {
    const ended: T[] = [];
    for (const machine of this.#machines.all(now, MAX_MACHINES)) {
      if (ended.length >= limit) break;
      ended.push(...end(this.#dueOf(machine, now, limit - ended.length)));
      this.#correct.run({ machine });
    }
    return ended;
  }

  /** The time before which none is due. Undefined if none waits. */
  next(): number | undefined {
    return this.#next.get() ?? undefined;
  }

  #dueOf(machine: number, now: number, limit: number): ExecutionRecord[] {
    const found = this.#due.all(machine, now).sort(([, a], [, b]) => a - b);
    const records = [...this.#byKeys(found.slice(0, limit).map(([key]) => key))].map(toRecord);
    return records.sort((a, b) => a.execution.expiresAt - b.execution.expiresAt);
  }
}
