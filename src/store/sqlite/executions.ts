/** Executions, the caller's side: create, read, list, cancel. */
import type { CreateOutcome, Execution, Store } from '../store.ts';
import { type Context, read, toPage } from './context.ts';
import { type ExecutionRow, SELECT_EXECUTION, toExecution } from './execution-row.ts';

type Methods = Pick<
  Store,
  'createExecution' | 'getExecution' | 'listExecutions' | 'requestCancel' | 'listEvents' | 'readStream' | 'keptBytes'
>;

interface MachineRow {
  machine: number;
  phase: string;
  runner_instance: string | null;
  epoch: number;
  waiting: number;
}

/** Past the newest key. */
const NEWEST = Number.MAX_SAFE_INTEGER;

/** The caller's side of the store. */
export function executionMethods({ db, write, log, executions, idempotency }: Context): Methods {
  const machine = db.prepare<[string], MachineRow>(
    'SELECT machine, phase, runner_instance, epoch, waiting FROM machines WHERE machine_id = ?',
  );
  const machineKey = '(SELECT machine FROM machines WHERE machine_id = ?)';
  const list = db.prepare<[string, number, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.machine = ${machineKey} AND e.execution < ? ORDER BY e.execution DESC LIMIT ?`,
  );
  const listByStatus = db.prepare<[string, string, number, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.machine = ${machineKey} AND e.status = ? AND e.execution < ?
     ORDER BY e.execution DESC LIMIT ?`,
  );
  const kept = db.prepare<[string], { stdout: number; stderr: number }>(
    'SELECT stdout_kept AS stdout, stderr_kept AS stderr FROM executions WHERE execution_id = ?',
  );

  function create(p: Parameters<Store['createExecution']>[0]): CreateOutcome {
    const { now, dispatchTo } = p;
    const replay = idempotency.replay(p.idempotency, now);
    if (replay !== undefined) return replay;
    const target = machine.get(p.execution.machineId);
    if (target === undefined) return { outcome: 'machine_not_found' };
    if (target.phase === 'destroyed') return { outcome: 'machine_removed' };
    const connected = target.phase === 'running';
    // Compared here: a mark for a connection that has gone meanwhile would have to end as agent_lost.
    const atOnce = connected && target.waiting === 0 && dispatchTo?.epoch === target.epoch;
    if (!atOnce && target.waiting >= p.queueLimit) return { outcome: 'queue_full' };
    const record = executions.insert(p.execution, target.machine, connected ? 'queued' : 'wake_in_progress', now);
    if (atOnce && dispatchTo !== undefined) executions.dispatch(record, dispatchTo.runnerInstance, now);
    idempotency.bind(p.idempotency, p.execution.executionId);
    return { outcome: 'created', execution: record.execution };
  }

  function find(machineId: string, executionId: string): Execution | undefined {
    const execution = executions.find(executionId)?.execution;
    return execution?.machineId === machineId ? execution : undefined;
  }

  function cancel(p: Parameters<Store['requestCancel']>[0]): Awaited<ReturnType<Store['requestCancel']>> {
    const replay = idempotency.replay(p.idempotency, p.now);
    if (replay !== undefined) return replay;
    const record = executions.find(p.executionId);
    if (record?.execution.machineId !== p.machineId) return { outcome: 'not_found' };
    idempotency.bind(p.idempotency, p.executionId);
    if (!executions.apply(record, { type: 'cancel_requested' }, p.now, p.now)) {
      return { outcome: 'stale', execution: record.execution };
    }
    record.execution.cancelledBy = p.by;
    executions.save(record);
    return { outcome: 'applied', execution: record.execution };
  }

  return {
    createExecution: (p) => write(() => create(p), p.execution.sealedInput?.length),
    getExecution: (p) => read(() => find(p.machineId, p.executionId)),
    listExecutions: ({ machineId, status, limit, after = NEWEST }) =>
      read(() => {
        const rows =
          status === undefined
            ? list.iterate(machineId, after, limit + 1)
            : listByStatus.iterate(machineId, status, after, limit + 1);
        return toPage(rows, limit, (row) => row.execution, toExecution);
      }),
    requestCancel: (p) => write(() => cancel(p)),
    listEvents: (p) => read(() => log.list(p)),
    readStream: (p) => read(() => log.readStream(p)),
    keptBytes: ({ executionId, stream }) => read(() => kept.get(executionId)?.[stream] ?? 0),
  };
}
