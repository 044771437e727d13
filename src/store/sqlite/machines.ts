/** Creates, finds, lists and connects machines. Other changes are in enrolment.ts and lifecycle.ts. */
import { matchesSelectors, type LabelSelector } from '../../core/machines/labels.ts';
import { labelsOf, newMachine } from '../../core/machines/machine.ts';
import { type MachineWithOperation, toMachine } from '../rows/machine-row.ts';
import { toPage } from '../rows/page.ts';
import type { Store } from '../store.ts';
import { type Context, read } from './tables/context.ts';
import { SELECT_MACHINE } from './tables/select-machine.ts';
import { hasLabel, hasLabels, rarestFirst } from './tables/selected-machines.ts';
import { advanceMachine, machineConnected } from '../transactions/machines.ts';
import type { Database } from './file/database.ts';
import { StatementCache } from './file/statement-cache.ts';
import { MachineTable, recordOf } from './tables/machine-table.ts';

type RestingMethods = Pick<Store, 'createMachine' | 'getMachine' | 'listMachines'>;

type Query = Parameters<Store['listMachines']>[0];

/** SELECT_MACHINE with the table of labels first, for lists that are selected by labels. */
const SELECT_LABELLED = SELECT_MACHINE.replace(
  'FROM machines m',
  'FROM machine_labels l CROSS JOIN machines m ON m.id = l.machine_id',
);

/** The MachineStore of SQLite. */
export function machineMethods({ db, write, machines }: Context): RestingMethods {
  const find = db.prepare<[string], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.public_id = ?`);
  const list = db.prepare<[number, number], MachineWithOperation>(
    `${SELECT_MACHINE} WHERE m.id > ? AND m.phase <> 'destroyed' ORDER BY m.id LIMIT ?`,
  );

  const named = db.prepare<[string, number], MachineWithOperation>(
    `${SELECT_MACHINE} WHERE m.name = ? AND m.desired_state <> 'destroyed' AND m.id > ?`,
  );

  const statements = new StatementCache(db);

  /** Finds machines one by one: an API key is limited to few. */
  function listSome(machineIds: readonly string[], after: number): MachineWithOperation[] {
    return [...new Set(machineIds)]
      .map((machineId) => find.get(machineId))
      .filter((row) => row !== undefined)
      .filter((row) => row.phase !== 'destroyed' && row.id > after)
      .sort((a, b) => a.id - b.id);
  }

  /** Machines with all of these labels, in the order of their keys. They are found by the label that the fewest machines have. */
  function labelled(labels: readonly LabelSelector[], after: number): Iterable<MachineWithOperation> {
    const [rarest, ...others] = rarestFirst(statements, labels).map(({ label }) => label);
    if (rarest === undefined) return [];
    const first = hasLabel('l', rarest);
    const also = hasLabels('l.machine_id', others);
    const list = statements.rows<(string | number)[], MachineWithOperation>(
      `${SELECT_LABELLED} WHERE ${first.text} AND l.machine_id > ? ${also.text} ORDER BY l.machine_id`,
    );
    return list.iterate(...first.values, after, ...also.values);
  }

  function* fitting(
    rows: Iterable<MachineWithOperation>,
    labels: readonly LabelSelector[],
  ): Generator<MachineWithOperation> {
    for (const row of rows) if (matchesSelectors(labelsOf(toMachine(row)), labels)) yield row;
  }

  function rowsOf({ machineIds, name, labels = [], limit, after = 0 }: Query): Iterable<MachineWithOperation> {
    if (name !== undefined) {
      const rows = named.all(name, after).filter((row) => machineIds?.includes(row.public_id) ?? true);
      return fitting(rows, labels);
    }
    if (machineIds !== undefined) return fitting(listSome(machineIds, after), labels);
    return labels.length === 0 ? list.iterate(after, limit + 1) : labelled(labels, after);
  }

  return {
    createMachine: (p) =>
      write(() => {
        const record = machines.insert(newMachine(p));
        return record === undefined ? { outcome: 'exists' } : { outcome: 'created', machine: record.machine };
      }),
    getMachine: ({ machineId }) =>
      read(() => {
        const row = find.get(machineId);
        return row && toMachine(row);
      }),
    listMachines: (p) => read(() => toPage(rowsOf(p), p.limit, (row) => row.id, toMachine)),
  };
}

type ConnectionMethods = Pick<
  Store,
  'machineConnected' | 'machineDisconnected' | 'findMachineByCredential' | 'replaceCredential'
>;

/**
 * Marks all machines as offline and all hooks as interrupted, at the start of the only server of the database. The offline time counts from
 * now on, also for a machine that was offline before, since no agent could reconnect while there was no server.
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

/** Maximum dispatch number accepted from an agent: no agent may raise the machine's numbers near the end of safe integers. */
const MAX_TAKEN_OVER = 2 ** 52;

/** The connections of machines. */
export function machineConnectionMethods({ db, write, tx, machines }: Context): ConnectionMethods {
  const raiseNumber = db.prepare(
    'UPDATE machines SET last_dispatch_number = max(last_dispatch_number, ?) WHERE public_id = ?',
  );
  const byCredential = db.prepare<[Buffer], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.credential_hash = ?`);
  const setCredential = db.prepare(
    `UPDATE machines SET credential_hash = ?, enrolled_with = NULL, credential_replaced = 0
     WHERE public_id = ? AND desired_state <> 'destroyed'`,
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
