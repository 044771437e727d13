/** Lists the executions of a machine, newest first, by merging the waiting, the dispatched and each kind of ended ones. */
import { EXECUTION_STATUSES, type ExecutionStatus, isTerminal } from '../../../core/execution-status.ts';
import type { ExecutionRow } from '../../rows/execution-row.ts';
import type { Database } from '../file/database.ts';
import { SELECT_EXECUTION } from './select-execution.ts';

/** A key above that of the newest row. */
export const NEWEST = Number.MAX_SAFE_INTEGER;
const ENDS = EXECUTION_STATUSES.filter(isTerminal);
const KEYS = `SELECT e.id FROM executions e
  WHERE e.machine_id = (SELECT id FROM machines WHERE public_id = $machineId) AND e.is_terminal = 0 AND e.id < $after`;
const NEWEST_FIRST = 'ORDER BY e.id DESC LIMIT $limit';
const OF_STATUS = '($status IS NULL OR +e.status = $status)';

interface Selection {
  machineId: string;
  status: ExecutionStatus | null;
  /** Only keys below this one. */
  after: number;
  limit: number;
}

/** Prepares the query of the newest keys of one machine, without terminals: at most `limit`, newest first. */
export function prepareMachineKeys(db: Database): (selection: Selection) => number[] {
  const waiting = db
    .prepare<Selection, number>(
      `${KEYS} AND e.dispatch_number IS NULL AND e.completed_at IS NULL AND ${OF_STATUS} ${NEWEST_FIRST}`,
    )
    .pluck();
  // Without a limit: at most as many as the agent runs at a time.
  const dispatched = db
    .prepare<Omit<Selection, 'limit'>, number>(
      `${KEYS} AND e.dispatch_number > 0 AND e.completed_at IS NULL AND ${OF_STATUS}`,
    )
    .pluck();
  const ended = db
    .prepare<Selection, number>(`${KEYS} AND e.completed_at IS NOT NULL AND e.status = $status ${NEWEST_FIRST}`)
    .pluck();

  return (selection) => {
    const { status, limit, machineId, after } = selection;
    const ends = status === null ? ENDS : ENDS.filter((end) => end === status);
    const alive = status === null || !isTerminal(status);
    const keys = [
      ...(alive ? [...waiting.all(selection), ...dispatched.all({ machineId, after, status })] : []),
      ...ends.flatMap((end) => ended.all({ ...selection, status: end })),
    ];
    return keys.sort((a, b) => b - a).slice(0, limit);
  };
}

/** Prepares the query of the executions with some keys, newest first. */
export function prepareRowsByKey(db: Database): (keys: readonly number[]) => Iterable<ExecutionRow> {
  const rows = db.prepare<[string], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.id IN (SELECT value FROM json_each(?)) ORDER BY e.id DESC`,
  );
  return (keys) => rows.iterate(JSON.stringify(keys));
}
