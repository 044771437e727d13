/** Whether a machine's agent is connected, and with which credential it may. */
import type { Store } from '../store.ts';
import { advanceMachine, machineConnected } from '../transactions/machines.ts';
import { type Context, read } from './context.ts';
import type { Database } from './file/database.ts';
import { type MachineWithOperation, toMachine } from '../rows/machine-row.ts';
import { SELECT_MACHINE } from './tables/select-machine.ts';
import { MachineTable, recordOf } from './tables/machine-table.ts';

type Methods = Pick<
  Store,
  'machineConnected' | 'machineDisconnected' | 'findMachineByCredential' | 'replaceCredential'
>;

/**
 * At the start of the server no machine is connected and no hook runs: an SQLite database has one server, and it has just
 * begun. Away counts from now on even where it began before, since no agent could have come back while there was no server.
 */
export function forgetConnections(db: Database, now: number): void {
  const machines = new MachineTable(db);
  const connected = db.prepare<[], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.agent = 'connected'`);
  const interrupted = db.prepare<[], MachineWithOperation>(`${SELECT_MACHINE} WHERE o.running = 1`);
  db.transaction(() => {
    for (const row of connected.all()) advanceMachine(machines, recordOf(row), { type: 'agent_disconnected' }, { now });
    for (const row of interrupted.all())
      advanceMachine(machines, recordOf(row), { type: 'operation_interrupted' }, { now });
    db.prepare('UPDATE machines SET away_since = ? WHERE away_since IS NOT NULL').run(now);
  }).immediate();
}

/** What an agent says counts up to here: nothing that it says may bring the machine's numbers near the end of safe integers. */
const MAX_TAKEN_OVER = 2 ** 52;

/** The connection of machines. */
export function machineConnectionMethods({ db, write, tx, machines }: Context): Methods {
  const raiseNumber = db.prepare(
    'UPDATE machines SET last_dispatch_number = max(last_dispatch_number, ?) WHERE machine_id = ?',
  );
  const byCredential = db.prepare<[Buffer], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.credential_hash = ?`);
  const setCredential = db.prepare(
    `UPDATE machines SET credential_hash = ?, enrolled_with = NULL, credential_replaced = 0
     WHERE machine_id = ? AND desired_state <> 'destroyed'`,
  );

  function connect(p: Parameters<Store['machineConnected']>[0]): ReturnType<typeof machineConnected> {
    const connected = machineConnected(tx, p);
    if (connected.outcome === 'applied')
      raiseNumber.run(Math.min(p.lastDispatchNumber ?? 0, MAX_TAKEN_OVER), p.machineId);
    return connected;
  }

  return {
    machineConnected: (p) => write(() => connect(p)),
    machineDisconnected: ({ machineId, epoch, now }) =>
      write(() => {
        const record = machines.find(machineId);
        const step = record && advanceMachine(machines, record, { type: 'agent_disconnected', epoch }, { now });
        return step?.ok === true ? 'applied' : 'stale';
      }),
    findMachineByCredential: ({ credentialHash }) =>
      read(() => {
        const row = byCredential.get(credentialHash);
        return row && toMachine(row);
      }),
    replaceCredential: ({ machineId, credentialHash }) =>
      write(() => (setCredential.run(credentialHash ?? null, machineId).changes === 1 ? 'applied' : 'not_found')),
  };
}
