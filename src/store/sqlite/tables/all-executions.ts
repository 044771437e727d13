/** Lists executions over all machines, newest first. */
import { type ExecutionStatus, isTerminal } from '../../../core/execution.ts';
import type { Execution, ExecutionStore, Page } from '../../store.ts';
import { toPage } from '../../rows/page.ts';
import type { Database } from '../file/database.ts';
import { type ExecutionRow, toExecution } from '../../rows/execution-row.ts';
import { NEWEST, prepareMachineKeys, prepareRowsByKey } from './machine-executions.ts';
import { SELECT_EXECUTION } from './select-execution.ts';

/** Up to this many machines are looked up one by one; with more, the newest executions of all are searched. */
const MAX_LOOKED_UP = 100;

const NEWEST_FIRST = 'AND e.id < ? ORDER BY e.id DESC';
/** By the partial index of executions that have not ended, which stays small. */
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

  function newestOf(machineIds: readonly string[], { status, limit, after = NEWEST }: Query): Iterable<ExecutionRow> {
    const selection = { status: status ?? null, after, limit: limit + 1 };
    const keys = machineIds.flatMap((machineId) => ofMachine({ machineId, ...selection }));
    return byKeys(keys.sort((a, b) => b - a).slice(0, limit + 1));
  }

  return (query) => {
    const { machineIds, status, since = 0, limit, after = NEWEST } = query;
    const lookUp = machineIds !== undefined && machineIds.length <= MAX_LOOKED_UP;
    const rows = lookUp ? newestOf(machineIds, query) : newestOfAll(status, after);
    const wanted = lookUp || machineIds === undefined ? undefined : new Set(machineIds);
    return toPage(selected(rows, wanted, since), limit, (row) => row.id, toExecution);
  };
}

/** Executions of these machines, created at `since` or later: executions later in the list are older. */
function* selected(
  rows: Iterable<ExecutionRow>,
  machineIds: ReadonlySet<string> | undefined,
  since: number,
): Generator<ExecutionRow> {
  for (const row of rows) {
    if (row.created_at < since) return;
    if (row.is_terminal === 1) continue;
    if (machineIds === undefined || machineIds.has(row.machine_public_id)) yield row;
  }
}
