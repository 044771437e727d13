/** Removing a machine for good: what runs or waits there ends, its credential and tokens die, its id stays taken. */
import { advanceAll } from '../transactions/dispatch.ts';
import { refusalOf } from '../transactions/executions.ts';
import type { Execution, Store } from '../store.ts';
import type { Context } from './context.ts';
import { type ExecutionRow, SELECT_EXECUTION, toRecord } from './execution-row.ts';

/** The end of machines. */
export function machineRemovalMethods(context: Context): Pick<Store, 'removeMachine'> {
  const { db, write, machines, tx } = context;
  const dropCredential = db.prepare('UPDATE machines SET credential_hash = NULL WHERE machine = ?');
  const revokeTokens = db.prepare(
    'UPDATE join_tokens SET revoked_at = $now WHERE machine_id = $machineId AND revoked_at IS NULL',
  );
  const unfinished = db.prepare<[number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.machine = ? AND e.status IN ('wake_in_progress', 'queued', 'running')
     ORDER BY e.execution`,
  );

  function endAll(machine: number, now: number): Execution[] {
    return advanceAll(tx, unfinished.all(machine).map(toRecord), { type: 'machine_removed' }, now);
  }

  function remove(p: Parameters<Store['removeMachine']>[0]): Awaited<ReturnType<Store['removeMachine']>> {
    const { machineId, now } = p;
    const refusal = refusalOf(tx, p);
    if (refusal !== undefined) return refusal;
    const record = machines.find(machineId);
    if (record === undefined) return { outcome: 'not_found' };
    const step = machines.advance(record, { type: 'desired', state: 'destroyed' }, now);
    if (!step.ok) return { outcome: 'not_found' };
    const ended = endAll(record.key, now);
    revokeTokens.run({ machineId, now });
    dropCredential.run(record.key);
    tx.bind(p.idempotency, machineId);
    return { outcome: 'removed', machine: step.next, ended };
  }

  return { removeMachine: (p) => write(() => remove(p)) };
}
