/** Removing a machine for good: what runs or waits there ends, its credential and tokens die, its id stays taken. */
import type { Execution, Store } from '../store.ts';
import type { Context } from './context.ts';
import { type ExecutionRow, SELECT_EXECUTION, toRecord } from './execution-row.ts';
import { type MachineRow, MOVED, toMachine } from './machine-row.ts';

/** The end of machines. */
export function machineRemovalMethods({ db, write, executions, idempotency }: Context): Pick<Store, 'removeMachine'> {
  const find = db.prepare<[string], MachineRow>("SELECT * FROM machines WHERE machine_id = ? AND phase <> 'destroyed'");
  const destroy = db.prepare<[{ machine: number; now: number }], MachineRow>(
    `UPDATE machines SET phase = 'destroyed', credential_hash = NULL, away_since = NULL, epoch = epoch + 1, ${MOVED}
     WHERE machine = $machine RETURNING *`,
  );
  const revokeTokens = db.prepare(
    'UPDATE join_tokens SET revoked_at = $now WHERE machine_id = $machineId AND revoked_at IS NULL',
  );
  const unfinished = db.prepare<[number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE e.machine = ? AND e.status IN ('wake_in_progress', 'queued', 'running')
     ORDER BY e.execution`,
  );

  function endAll(machine: number, now: number): Execution[] {
    return unfinished
      .all(machine)
      .map(toRecord)
      .filter((record) => executions.advance(record, { type: 'machine_removed' }, now))
      .map((record) => record.execution);
  }

  function remove(p: Parameters<Store['removeMachine']>[0]): Awaited<ReturnType<Store['removeMachine']>> {
    const { machineId, now } = p;
    const replay = idempotency.replay(p.idempotency, now);
    if (replay !== undefined) return replay;
    const present = find.get(machineId);
    if (present === undefined) return { outcome: 'not_found' };
    const ended = endAll(present.machine, now);
    revokeTokens.run({ machineId, now });
    const destroyed = destroy.get({ machine: present.machine, now });
    idempotency.bind(p.idempotency, machineId);
    return { outcome: 'removed', machine: toMachine(destroyed ?? present), ended };
  }

  return { removeMachine: (p) => write(() => remove(p)) };
}
