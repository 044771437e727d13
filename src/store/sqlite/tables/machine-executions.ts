/** Finds the newest executions of a machine: merges those that wait, those that are dispatched, and each kind of end. */
import { EXECUTION_STATUSES, type ExecutionStatus, isTerminal } from '../../../core/execution-status.ts';
import type { ExecutionRow } from '../../rows/execution-row.ts';
import type { Database } from '../file/database.ts';
import { SELECT_EXECUTION } from './select-execution.ts';

/** Above the newest key. */
export const NEWEST = Number.MAX_SAFE_INTEGER;
const ENDS = EXECUTION_STATUSES.filter(isTerminal);

/** Which executions of a machine. */
interface Selection {
  /** The key of the machine. */
  machine: number;
  status: ExecutionStatus | undefined;
  /** Only keys below this one. */
  after: number;
  /** Only this key and those above it. */
  from?: number;
  limit: number;
}

/** SQL: the keys of a machine's executions below `$after`, without terminals. Of each range of an index, the newest `limit` from `from` on. */
function selectKeys(sql: { machine: string; from: string; limit: string }, status?: ExecutionStatus): string {
  const keys = `SELECT e.id FROM executions e
    WHERE e.machine_id = ${sql.machine} AND e.is_terminal = 0 AND e.id >= ${sql.from} AND e.id < $after`;
  const newest = (range: string): string =>
    `SELECT id FROM (${keys} AND ${range} ORDER BY e.id DESC LIMIT ${sql.limit})`;
  const ends = ENDS.filter((end) => status === undefined || end === status);
  const ended = ends.map((end) => newest(`e.completed_at IS NOT NULL AND e.status = '${end}'`));
  if (status !== undefined && isTerminal(status)) return ended.join(' UNION ALL ');
  const ofStatus = status === undefined ? '' : `AND +e.status = '${status}'`;
  const waiting = newest(`e.dispatch_number IS NULL AND e.completed_at IS NULL ${ofStatus}`);
  // As many as the agent runs at a time.
  const dispatched = `${keys} AND e.dispatch_number > 0 AND e.completed_at IS NULL ${ofStatus}`;
  return [...ended, waiting, dispatched].join(' UNION ALL ');
}

/** SQL: the key of the newest execution of the machine `machine` (SQL), below `$after`. */
export function selectNewestKey(machine: string, status?: ExecutionStatus): string {
  return `SELECT max(id) FROM (${selectKeys({ machine, from: '0', limit: '1' }, status)})`;
}

/** SQL: up to `$max` keys of the machines with the keys `$machines` (JSON), from `$from` on and below `$after`, in any order. */
export function selectKeysFrom(status?: ExecutionStatus): string {
  const keys = `SELECT e.id FROM json_each($machines) j CROSS JOIN executions e
    WHERE e.machine_id = j.value AND e.is_terminal = 0 AND e.id >= $from AND e.id < $after`;
  const ends = ENDS.filter((end) => status === undefined || end === status).map((end) => `'${end}'`);
  const ended = `${keys} AND e.completed_at IS NOT NULL AND e.status IN (${ends.join(', ')})`;
  const alive = `${keys} AND e.completed_at IS NULL ${status === undefined ? '' : `AND +e.status = '${status}'`}`;
  if (status === undefined) return `${ended} UNION ALL ${alive} LIMIT $max`;
  return `${isTerminal(status) ? ended : alive} LIMIT $max`;
}

/** Returns a query of the newest keys of one machine: at most `limit`, newest first. */
export function prepareMachineKeys(db: Database): (selection: Selection) => number[] {
  const prepare = (status?: ExecutionStatus) => {
    const sql = selectKeys({ machine: '$machine', from: '$from', limit: '$limit' }, status);
    return db.prepare<Omit<Selection, 'status'>, number>(sql).pluck();
  };
  const ofAny = prepare();
  const ofStatus = new Map(EXECUTION_STATUSES.map((status) => [status, prepare(status)]));
  return ({ machine, status, after, from = 0, limit }) => {
    const statement = (status && ofStatus.get(status)) ?? ofAny;
    const keys = statement.all({ machine, after, from, limit });
    return keys.sort((a, b) => b - a).slice(0, limit);
  };
}

/** Returns a query of the executions with given keys, newest first. */
export function prepareRowsByKey(db: Database): (keys: readonly number[]) => Iterable<ExecutionRow> {
  const rows = db.prepare<[string], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.id IN (SELECT value FROM json_each(?)) ORDER BY e.id DESC`,
  );
  return (keys) => rows.iterate(JSON.stringify(keys));
}
