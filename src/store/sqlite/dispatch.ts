/** Executions, the agent's side: handing them out, and ending those that cannot run. */
import type { ExecutionInput } from '../../core/execution.ts';
import type { Dispatch, Execution, Store } from '../store.ts';
import { type Context, read } from './context.ts';
import { EXECUTION_COLUMNS, type ExecutionRow, SELECT_EXECUTION, toExecution, toRecord } from './execution-row.ts';

type Methods = Pick<
  Store,
  | 'claimQueued'
  | 'listDispatched'
  | 'settleUndelivered'
  | 'declareLost'
  | 'wakeWaiting'
  | 'expireDue'
  | 'nextExpiry'
  | 'listAbandoned'
>;

const OF_MACHINE = 'e.machine = (SELECT machine FROM machines WHERE machine_id = ?)';
const WAITING = 'e.dispatched_to IS NULL AND e.completed_at IS NULL';
const DISPATCHED = 'e.dispatched_to IS NOT NULL AND e.completed_at IS NULL';

/** The agent's side of the store, but for its reports (reports.ts). */
export function dispatchMethods({ db, write, executions }: Context): Methods {
  const connected = db
    .prepare<[string, string], 1>(
      "SELECT 1 FROM machines WHERE machine_id = ? AND phase = 'running' AND runner_instance = ?",
    )
    .pluck();
  const claimable = db.prepare<[string, number, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND e.status = 'queued' AND ${WAITING} AND e.expires_at > ?
     ORDER BY e.execution LIMIT ?`,
  );
  const dispatched = db.prepare<[string], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND ${DISPATCHED} ORDER BY e.dispatch_number`,
  );
  const sleeping = db.prepare<[string, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND e.status = 'wake_in_progress' ORDER BY e.execution LIMIT ?`,
  );
  const due = db.prepare<[number, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE ${WAITING} AND e.expires_at <= ? ORDER BY e.expires_at LIMIT ?`,
  );
  const nextExpiry = db
    .prepare<[], number | null>(`SELECT min(e.expires_at) FROM executions e WHERE ${WAITING}`)
    .pluck();
  const abandoned = db.prepare<[number, number], ExecutionRow>(
    `SELECT ${EXECUTION_COLUMNS} FROM machines m CROSS JOIN executions e ON e.machine = m.machine CROSS JOIN requests r ON r.execution = e.execution
     WHERE m.phase = 'sleeping' AND m.away_since <= ? AND ${DISPATCHED} LIMIT ?`,
  );

  function withInput(execution: Execution, key: number): Dispatch {
    const sealedInput = executions.sealedInput(key);
    return sealedInput === undefined ? { execution } : { execution, sealedInput };
  }

  function claim(p: Parameters<Store['claimQueued']>[0]): Dispatch[] {
    if (connected.get(p.machineId, p.runnerInstance) === undefined) return [];
    const records = claimable.all(p.machineId, p.now, p.limit).map(toRecord);
    return records
      .filter((record) => executions.dispatch(record, p.runnerInstance, p.now))
      .map((record) => withInput(record.execution, record.key));
  }

  /** Puts the same input to each; returns those that it moved. */
  function advanceAll(rows: readonly ExecutionRow[], input: ExecutionInput, now: number): Execution[] {
    return rows
      .map(toRecord)
      .filter((record) => executions.advance(record, input, now))
      .map((record) => record.execution);
  }

  function advanceEach(executionIds: readonly string[], input: ExecutionInput, now: number): Execution[] {
    return executionIds.flatMap((executionId) => {
      const record = executions.find(executionId);
      return record !== undefined && executions.advance(record, input, now) ? [record.execution] : [];
    });
  }

  return {
    claimQueued: (p) => write(() => claim(p)),
    listDispatched: ({ machineId, aboveNumber }) =>
      read(() =>
        dispatched.all(machineId).map((row) => {
          const wanted = (row.dispatch_number ?? 0) > aboveNumber;
          return wanted ? withInput(toExecution(row), row.execution) : { execution: toExecution(row) };
        }),
      ),
    settleUndelivered: ({ executionIds, now }) => write(() => advanceEach(executionIds, { type: 'undelivered' }, now)),
    declareLost: ({ executionIds, reason, now }) =>
      write(() => advanceEach(executionIds, { type: 'agent_lost', reason }, now)),
    wakeWaiting: ({ machineId, limit, now }) =>
      write(() => advanceAll(sleeping.all(machineId, limit), { type: 'machine_connected' }, now)),
    expireDue: ({ now, limit }) => write(() => advanceAll(due.all(now, limit), { type: 'expired' }, now)),
    nextExpiry: () => read(() => nextExpiry.get() ?? undefined),
    listAbandoned: ({ awaySince, limit }) => read(() => abandoned.all(awaySince, limit).map(toExecution)),
  };
}
