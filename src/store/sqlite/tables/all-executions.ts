/** Lists executions over all machines, newest first. */
import { EXECUTION_STATUSES, type ExecutionStatus, isTerminal } from '../../../core/execution-status.ts';
import type { Execution, ExecutionStore, Page } from '../../store.ts';
import { toPage } from '../../rows/page.ts';
import type { Database } from '../file/database.ts';
import { type ExecutionRow, toExecution } from '../../rows/execution-row.ts';
import { prepareKeysOfMachines } from './executions-of-machines.ts';
import { SPAN_KEYS } from './list-keys.ts';
import { NEWEST, prepareRowsByKey } from './machine-executions.ts';
import { SELECT_EXECUTION } from './select-execution.ts';

/** Uses the partial index of executions that have not ended, which stays small. */
const ALIVE = 'SELECT id FROM executions INDEXED BY executions_alive WHERE completed_at IS NULL';

type Query = Parameters<ExecutionStore['listAllExecutions']>[0];

/** Returns the condition of a status (any if undefined), under which an index or the order of the keys yields the newest executions first. */
function conditionOf(status: ExecutionStatus | undefined): string {
  if (status === undefined) return 'true';
  if (!isTerminal(status)) return `e.id IN (${ALIVE}) AND +e.status = '${status}'`;
  if (status === 'succeeded') return `+e.status = '${status}'`;
  return `e.status IN ('failed', 'cancelled', 'expired') AND e.status = '${status}'`;
}

/** Prepares the statements, and returns the query. */
export function prepareAllExecutions(db: Database): (query: Query) => Page<Execution> {
  const prepare = (status?: ExecutionStatus) =>
    db.prepare<[number], ExecutionRow>(
      `${SELECT_EXECUTION} WHERE ${conditionOf(status)} AND e.id < ? ORDER BY e.id DESC`,
    );
  const ofAny = prepare();
  // The spans first: a walk over all executions would read each failure since the newest that succeeded.
  const succeeded = db.prepare<{ after: number }, ExecutionRow>(
    `${SELECT_EXECUTION.replace('FROM executions e', `FROM succeeded_spans s CROSS JOIN executions e ON e.id >= s.span * ${SPAN_KEYS} AND e.id < (s.span + 1) * ${SPAN_KEYS}`)}
     WHERE s.span <= $after / ${SPAN_KEYS} AND e.id < $after AND +e.status = 'succeeded' ORDER BY s.span DESC, e.id DESC`,
  );
  const ofStatus = new Map(EXECUTION_STATUSES.map((status) => [status, prepare(status)]));
  const keysOfMachines = prepareKeysOfMachines(db, conditionOf);
  const byKeys = prepareRowsByKey(db);

  function rowsOf({
    machineIds,
    labels = [],
    status,
    since = 0,
    limit,
    after = NEWEST,
  }: Query): Iterable<ExecutionRow> {
    if (machineIds === undefined && labels.length === 0) {
      if (status === 'succeeded') return succeeded.iterate({ after });
      return ((status && ofStatus.get(status)) ?? ofAny).iterate(after);
    }
    const machines = machineIds === undefined ? { labels } : { machineIds, labels };
    return byKeys(keysOfMachines({ ...machines, status, since, after, limit: limit + 1 }));
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
