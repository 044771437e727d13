/** Lists executions over all machines, newest first. */
import { type ExecutionStatus, isTerminal } from '../../../core/execution.ts';
import type { Execution, ExecutionStore, Page } from '../../store.ts';
import { toPage } from '../../rows/page.ts';
import type { Database } from '../file/database.ts';
import { type ExecutionRow, toExecution } from '../../rows/execution-row.ts';
import { NEWEST, prepareMachineKeys, prepareRowsByKey } from './machine-executions.ts';
import { SELECT_EXECUTION } from './select-execution.ts';

/** Maximum number of machines that are looked up one by one. For more, the newest executions of all machines are searched first. */
const MAX_LOOKED_UP = 100;
/** Number of executions that are searched before the machines are looked up one by one. */
const MAX_SEARCHED = 500;

const NEWEST_FIRST = 'AND e.id < ? ORDER BY e.id DESC';
/** Uses the partial index of executions that have not ended, which stays small. */
const ALIVE = 'SELECT id FROM executions INDEXED BY executions_alive WHERE completed_at IS NULL';

type Query = Parameters<ExecutionStore['listAllExecutions']>[0];

/** Prepares the statements, and returns the query. */
export function prepareAllExecutions(db: Database): (query: Query) => Page<Execution> {
  const all = db.prepare<[number], ExecutionRow>(`${SELECT_EXECUTION} WHERE true ${NEWEST_FIRST}`);
  const succeeded = db.prepare<[string, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE +e.status = ? ${NEWEST_FIRST}`,
  );
  const unsuccessful = db.prepare<[string, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.status IN ('failed', 'cancelled', 'expired') AND e.status = ? ${NEWEST_FIRST}`,
  );
  const alive = db.prepare<[string, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.id IN (${ALIVE}) AND +e.status = ? ${NEWEST_FIRST}`,
  );
  const ofMachine = prepareMachineKeys(db);
  const byKeys = prepareRowsByKey(db);

  function newestOfAll(status: ExecutionStatus | undefined, after: number): Iterable<ExecutionRow> {
    if (status === undefined) return all.iterate(after);
    if (!isTerminal(status)) return alive.iterate(status, after);
    return (status === 'succeeded' ? succeeded : unsuccessful).iterate(status, after);
  }

  /** Only machines whose newest execution is among the newest can have further executions among them. */
  function newestOf(machineIds: readonly string[], { status, limit, after = NEWEST }: Query): Iterable<ExecutionRow> {
    const selection = { status: status ?? null, after };
    const count = limit + 1;
    const machines = machineIds.length <= MAX_LOOKED_UP ? machineIds : mostRecent(machineIds, selection, count);
    const keys = machines.flatMap((machineId) => ofMachine({ machineId, ...selection, limit: count }));
    return byKeys(keys.sort((a, b) => b - a).slice(0, count));
  }

  function mostRecent(
    machineIds: readonly string[],
    selection: { status: ExecutionStatus | null; after: number },
    count: number,
  ): string[] {
    const newest = machineIds.map((machineId) => ({
      machineId,
      key: ofMachine({ machineId, ...selection, limit: 1 })[0] ?? 0,
    }));
    return newest
      .toSorted((a, b) => b.key - a.key)
      .slice(0, count)
      .map(({ machineId }) => machineId);
  }

  /** Searches the newest executions of all machines. Undefined if too many of them are of other machines. */
  function searched(machineIds: readonly string[], query: Query): ExecutionRow[] | undefined {
    const { status, since = 0, limit, after = NEWEST } = query;
    const machines = new Set(machineIds);
    const found: ExecutionRow[] = [];
    let left = MAX_SEARCHED;
    for (const row of newestOfAll(status, after)) {
      if (row.created_at < since || found.length > limit) return found;
      if (left === 0) return undefined;
      left -= 1;
      if (row.is_terminal === 0 && machines.has(row.machine_public_id)) found.push(row);
    }
    return found;
  }

  function rowsOf(query: Query): Iterable<ExecutionRow> {
    const { machineIds, status, after = NEWEST } = query;
    if (machineIds === undefined) return newestOfAll(status, after);
    const found = machineIds.length <= MAX_LOOKED_UP ? undefined : searched(machineIds, query);
    return found ?? newestOf(machineIds, query);
  }

  return (query) => toPage(listed(rowsOf(query), query.since), query.limit, (row) => row.id, toExecution);
}

/** Leaves out terminals, and ends at the first execution older than `since`: the list is sorted by age. */
function* listed(rows: Iterable<ExecutionRow>, since = 0): Generator<ExecutionRow> {
  for (const row of rows) {
    if (row.created_at < since) return;
    if (row.is_terminal === 0) yield row;
  }
}
