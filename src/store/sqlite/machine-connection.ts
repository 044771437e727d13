/** Whether a machine's agent is connected, and with which credential it may. */
import type { Store } from '../store.ts';
import { type Context, read } from './context.ts';
import type { Database } from './database.ts';
import { type MachineRow, MOVED, machineOf, toMachine } from './machine-row.ts';

type Methods = Pick<
  Store,
  'machineConnected' | 'machineDisconnected' | 'findMachineByCredential' | 'replaceCredential'
>;

/**
 * At the start of the server no machine is connected: an SQLite database has one server, and it has just begun. Away counts from
 * now on even where it began before, since no agent could have come back while there was no server.
 */
export function forgetConnections(db: Database, now: number): void {
  db.transaction(() => {
    db.prepare(`UPDATE machines SET phase = 'sleeping', epoch = epoch + 1, ${MOVED} WHERE phase = 'running'`).run({
      now,
    });
    db.prepare("UPDATE machines SET away_since = ? WHERE phase = 'sleeping'").run(now);
  }).immediate();
}

/** What an agent says counts up to here: nothing that it says may bring the machine's numbers near the end of safe integers. */
const MAX_TAKEN_OVER = 2 ** 52;

/** A new link of a machine that is connected already is no transition. */
const CONNECT = `UPDATE machines SET vcpu = $vcpu, memory_mib = $memoryMib, storage_gib = $storageGib,
    runner_instance = $runnerInstance, boot_id = $bootId, away_since = NULL, epoch = epoch + 1,
    last_dispatch_number = max(last_dispatch_number, $lastNumber),
    revision = revision + (phase <> 'running'),
    last_transition_at = CASE phase WHEN 'running' THEN last_transition_at ELSE $now END,
    last_progress_at = $now, phase = 'running'
  WHERE machine_id = $machineId AND phase <> 'destroyed' RETURNING *`;

/** The connection of machines. */
export function machineConnectionMethods({ db, write }: Context): Methods {
  const connect = db.prepare<[Record<string, unknown>], MachineRow>(CONNECT);
  const disconnect = db.prepare(
    `UPDATE machines SET phase = 'sleeping', away_since = $now, ${MOVED}
     WHERE machine_id = $machineId AND phase = 'running' AND epoch = $epoch`,
  );
  const byCredential = db.prepare<[Buffer], MachineRow>('SELECT * FROM machines WHERE credential_hash = ?');
  const setCredential = db.prepare(
    `UPDATE machines SET credential_hash = ?, enrolled_with = NULL, credential_replaced = 0
     WHERE machine_id = ? AND phase <> 'destroyed'`,
  );
  return {
    machineConnected: ({ machineId, runnerInstance, bootId, facts, lastDispatchNumber = 0, now }) =>
      write(() => {
        const reported = { vcpu: facts.vcpu, memoryMib: facts.memory_mib, storageGib: facts.storage_gib };
        const lastNumber = Math.min(lastDispatchNumber, MAX_TAKEN_OVER);
        const row = connect.get({ machineId, runnerInstance, bootId, now, lastNumber, ...reported });
        return row === undefined
          ? { outcome: 'removed' }
          : { outcome: 'applied', machine: toMachine(row), epoch: row.epoch };
      }),
    machineDisconnected: ({ machineId, epoch, now }) =>
      write(() => (disconnect.run({ machineId, epoch, now }).changes === 1 ? 'applied' : 'stale')),
    findMachineByCredential: ({ credentialHash }) => read(() => machineOf(byCredential.get(credentialHash))),
    replaceCredential: ({ machineId, credentialHash }) =>
      write(() => (setCredential.run(credentialHash ?? null, machineId).changes === 1 ? 'applied' : 'not_found')),
  };
}
