/** Creates, reads, lists and cancels executions, and reads their logs. */
import { queuedBytesOf } from '../../core/decisions/queue.ts';
import { bindIdempotency, createExecution, requestCancel } from '../transactions/executions.ts';
import type { EventStore, Execution, ExecutionStore, IdempotencyStore } from '../store.ts';
import { prepareAllExecutions } from './tables/all-executions.ts';
import { NEWEST, prepareMachineKeys, prepareRowsByKey } from './tables/machine-executions.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './tables/context.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { SELECT_EXECUTION } from './tables/select-execution.ts';

const OF_MACHINE = 'e.machine_id = (SELECT id FROM machines WHERE public_id = ?)';

/** The use cases of callers. */
export function executionMethods({ db, write, log, tx }: Context): ExecutionStore & EventStore & IdempotencyStore {
  const keyOfMachine = db.prepare<[string], number>('SELECT id FROM machines WHERE public_id = ?').pluck();
  const keysOf = prepareMachineKeys(db);
  const byKeys = prepareRowsByKey(db);
  const listTerminals = db.prepare<[string, number, number, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND e.is_terminal = 1 AND (e.completed_at IS NULL OR e.completed_at > ?)
     AND e.id < ? ORDER BY e.id DESC LIMIT ?`,
  );
  const queuedBytes = db
    .prepare<{ createdBy: string }, number>(
      // CROSS JOIN: from the unfinished executions, never from all requests.
      `SELECT
        (SELECT coalesce(sum(r.queued_bytes), 0) FROM executions INDEXED BY executions_alive
            CROSS JOIN requests r ON r.execution_id = executions.id
          WHERE executions.dispatch_number IS NULL AND executions.completed_at IS NULL AND r.created_by = $createdBy)
        + (SELECT coalesce(sum(length(sealed_request)), 0) FROM batches
          WHERE status = 'running' AND created_by = $createdBy)
        + (SELECT coalesce(sum(length(sealed_request)), 0) FROM schedules WHERE created_by = $createdBy)`,
    )
    .pluck();
  const listAll = prepareAllExecutions(db);

  function find(machineId: string, executionId: string): Execution | undefined {
    const execution = tx.execution(executionId)?.execution;
    return execution?.machineId === machineId ? execution : undefined;
  }

  return {
    createExecution: (p) => write(() => createExecution(tx, p), queuedBytesOf(p.execution)),
    queuedBytes: ({ createdBy }) => read(() => queuedBytes.get({ createdBy }) ?? 0),
    getExecution: (p) => read(() => find(p.machineId, p.executionId)),
    listExecutions: ({ machineId, status, limit, after = NEWEST }) =>
      read(() => {
        const machine = keyOfMachine.get(machineId);
        const keys = machine === undefined ? [] : keysOf({ machine, status, after, limit: limit + 1 });
        return toPage(byKeys(keys), limit, (row) => row.id, toExecution);
      }),
    listAllExecutions: (p) => read(() => listAll(p)),
    listTerminals: ({ machineId, endedAfter, limit, after = NEWEST }) =>
      read(() => {
        const rows = listTerminals.iterate(machineId, endedAfter, after, limit + 1);
        return toPage(rows, limit, (row) => row.id, toExecution);
      }),
    requestCancel: (p) => write(() => requestCancel(tx, p)),
    listEvents: (p) => read(() => log.list(p)),
    readStream: (p) => read(() => log.readStream(p)),
    readMerged: (p) => read(() => log.readMerged(p)),
    findReplay: ({ idempotency, now }) => read(() => tx.replay(idempotency, now)),
    bindIdempotency: (p) => write(() => bindIdempotency(tx, p)),
    releaseIdempotency: ({ apiKeyId, key }) => write(() => tx.release(apiKeyId, key)),
  };
}
