/** Executions, the agent's side: handing them out, and ending those that cannot run. */
import type { ExecutionInput } from '../../core/execution.ts';
import type { Dispatch, Execution, Fenced, Store } from '../store.ts';
import { type Context, read } from './context.ts';
import { type ExecutionRow, SELECT_EXECUTION, toExecution, toRecord } from './execution-row.ts';
import type { ExecutionTable } from './execution-table.ts';

type Methods = Pick<Store, 'claimQueued' | 'listDispatched' | 'endUndelivered' | 'markLost' | 'wakeWaiting'>;

const OF_MACHINE = 'e.machine = (SELECT machine FROM machines WHERE machine_id = ?)';
export const WAITING = 'e.dispatched_to IS NULL AND e.completed_at IS NULL';
export const DISPATCHED = 'e.dispatched_to IS NOT NULL AND e.completed_at IS NULL';

/** The agent's side of the store, but for its reports (reports.ts). */
export function dispatchMethods({ db, write, executions }: Context): Methods {
  const connected = db
    .prepare<[string, number], string>(
      "SELECT runner_instance FROM machines WHERE machine_id = ? AND phase = 'running' AND epoch = ?",
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

  function withInput(execution: Execution, key: number): Dispatch {
    const sealedInput = executions.sealedInput(key);
    return sealedInput === undefined ? { execution } : { execution, sealedInput };
  }

  /** Runs `work` only for the connection that the machine has now. */
  function fenced<T>(p: { machineId: string; epoch: number }, work: (runnerInstance: string) => T): Promise<Fenced<T>> {
    return write(() => {
      const runnerInstance = connected.get(p.machineId, p.epoch);
      return runnerInstance === undefined ? { outcome: 'stale' } : { outcome: 'applied', ...work(runnerInstance) };
    });
  }

  function claim(p: Parameters<Store['claimQueued']>[0], runnerInstance: string): Dispatch[] {
    const records = claimable.all(p.machineId, p.now, p.limit).map(toRecord);
    return records
      .filter((record) => executions.dispatch(record, runnerInstance, p.now))
      .map((record) => withInput(record.execution, record.key));
  }

  function advanceEach(executionIds: readonly string[], input: ExecutionInput, now: number): Execution[] {
    return executionIds.flatMap((executionId) => {
      const record = executions.find(executionId);
      return record !== undefined && executions.advance(record, input, now) ? [record.execution] : [];
    });
  }

  return {
    claimQueued: (p) => fenced(p, (runnerInstance) => ({ dispatches: claim(p, runnerInstance) })),
    listDispatched: ({ machineId, aboveNumber }) =>
      read(() =>
        dispatched.all(machineId).map((row) => {
          const wanted = (row.dispatch_number ?? 0) > aboveNumber;
          return wanted ? withInput(toExecution(row), row.execution) : { execution: toExecution(row) };
        }),
      ),
    endUndelivered: (p) => fenced(p, () => ({ ended: advanceEach(p.executionIds, { type: 'undelivered' }, p.now) })),
    markLost: (p) =>
      fenced(p, () => ({ ended: advanceEach(p.executionIds, { type: 'agent_lost', reason: p.reason }, p.now) })),
    wakeWaiting: (p) =>
      fenced(p, () => ({
        woken: advanceAll(executions, sleeping.all(p.machineId, p.limit), { type: 'machine_connected' }, p.now),
      })),
  };
}

/** Puts the same input to each; returns those that it moved. */
export function advanceAll(
  executions: ExecutionTable,
  rows: readonly ExecutionRow[],
  input: ExecutionInput,
  now: number,
): Execution[] {
  return rows
    .map(toRecord)
    .filter((record) => executions.advance(record, input, now))
    .map((record) => record.execution);
}
