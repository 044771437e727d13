/** Finds the newest executions of all machines, or of selected ones. */
import { type ExecutionStatus, isTerminal } from '../../core/execution.ts';
import type { LabelSelector } from '../../core/machines/labels.ts';
import type { ExecutionRow } from '../rows/execution-row.ts';
import type { Context } from './context.ts';
import { EXECUTION_COLUMNS, SELECT_EXECUTION } from './statements/select-execution.ts';
import { selectMachines } from './statements/select-machine.ts';

/** Maximum number of machines that are looked up one by one at once. For more, the newest executions of all machines are searched first. */
const MAX_LOOKED_UP = 100;
/** Number of executions of all machines that are searched; the second for machines that are so many that it costs less than to look them up. */
const MAX_SEARCHED = 500;
const MAX_SEARCHED_FOR_MANY = 25_000;
const MANY_MACHINES = 1000;

interface Query {
  machineIds?: readonly string[];
  labels?: readonly LabelSelector[];
  status?: ExecutionStatus;
  /** ms since the epoch: older executions are not needed. */
  since: number;
  /** Only keys below this one. */
  after?: number;
  limit: number;
}

/** SQL for the newest `$2` rows below `$1`. Unfinished executions have their own index, which stays small. */
const LISTED = 'NOT e.is_terminal AND e.id < $1';
const NEWEST_FIRST = 'ORDER BY e.id DESC LIMIT $2';
const ofStatus = (status: ExecutionStatus | undefined): string => {
  if (status === undefined) return LISTED;
  return isTerminal(status) ? `${LISTED} AND e.status = $3` : `${LISTED} AND e.completed_at IS NULL AND e.status = $3`;
};
/** SQL that selects the keys of a page into an array first: a join planned before the LIMIT may read all rows newer than the page. */
const ofAll = (listed: string): string =>
  `${SELECT_EXECUTION} WHERE e.id = ANY(ARRAY(SELECT e.id FROM executions e WHERE ${listed} ${NEWEST_FIRST})) ORDER BY e.id DESC`;
/** SQL for the executions of some machines among the newest `searched` of all machines. */
const search = (listed: string, selected: string, searched: number): string =>
  `${SELECT_EXECUTION} WHERE e.id = ANY(ARRAY(SELECT e.id FROM (
    SELECT e.id, e.machine_id FROM executions e WHERE ${listed} ORDER BY e.id DESC LIMIT ${searched}) e
    JOIN machines m ON m.id = e.machine_id WHERE ${selected} ${NEWEST_FIRST})) ORDER BY e.id DESC`;
/** SQL for the time of the oldest execution that `search` reads. No row if it reads all that there are. */
const oldestSearched = (listed: string, searched: number): string =>
  `SELECT e.created_at FROM executions e WHERE ${listed} ORDER BY e.id DESC LIMIT 1 OFFSET $2::int + ${searched - 1}`;
/** SQL that looks up machines one by one, but only those whose newest execution is among the newest. */
const lookUp = (listed: string, selected: string): string => `WITH recent AS MATERIALIZED (
    SELECT m.id, m.public_id,
      (SELECT e.id FROM executions e WHERE e.machine_id = m.id AND ${listed} ORDER BY e.id DESC LIMIT 1) AS newest
    FROM machines m WHERE ${selected} ORDER BY newest DESC NULLS LAST LIMIT $2)
  SELECT ${EXECUTION_COLUMNS} FROM recent m CROSS JOIN LATERAL (
    SELECT * FROM executions e WHERE e.machine_id = m.id AND ${listed} ${NEWEST_FIRST}) e
  JOIN requests r ON r.execution_id = e.id ${NEWEST_FIRST}`;

/**
 * Returns the newest rows, newest first: `limit` + 1 if there are so many, and possibly some that are older than `since`. The newest executions
 * of all machines contain those of the selected ones, unless these do little: then each is asked for its newest execution.
 */
export async function newestExecutions(read: Context['read'], query: Query): Promise<ExecutionRow[]> {
  const { machineIds, labels = [], status, since, after = Number.MAX_SAFE_INTEGER, limit } = query;
  const listed = ofStatus(status);
  const ofWhich = status === undefined ? [] : [status];
  const values = [after, limit + 1, ...ofWhich];
  const selected = selectMachines(values.length + 1, machineIds, labels);
  const rowsOf = (text: string): Promise<ExecutionRow[]> => read({ text, values: [...values, ...selected.values] });

  /** Searches the newest `searched` executions of all machines. Undefined if too many of them are of other machines. */
  async function found(searched: number): Promise<ExecutionRow[] | undefined> {
    const rows = await rowsOf(search(listed, selected.condition, searched));
    if (rows.length > limit) return rows;
    const text = oldestSearched(listed, searched);
    const [oldest] = await read<{ created_at: number }>({ text, values: [after, 0, ...ofWhich] });
    return oldest === undefined || oldest.created_at < since ? rows : undefined;
  }

  if (selected.condition === '') return read({ text: ofAll(listed), values });
  const areFew = machineIds !== undefined && machineIds.length <= MAX_LOOKED_UP;
  const near = areFew ? undefined : await found(MAX_SEARCHED);
  if (near !== undefined) return near;
  const areMany = !areFew && (await selectsMany(read, { machineIds, labels }));
  const far = areMany ? await found(MAX_SEARCHED_FOR_MANY) : undefined;
  return far ?? rowsOf(lookUp(listed, selected.condition));
}

async function selectsMany(
  read: Context['read'],
  { machineIds, labels }: { machineIds: readonly string[] | undefined; labels: readonly LabelSelector[] },
): Promise<boolean> {
  const { condition, values } = selectMachines(1, machineIds, labels);
  const rows = await read({ text: `SELECT 1 FROM machines m WHERE ${condition} LIMIT ${MANY_MACHINES}`, values });
  return rows.length === MANY_MACHINES;
}
