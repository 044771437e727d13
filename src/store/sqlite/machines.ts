/** Machines: made, found, listed. What happens to them is in machine-connection.ts, enrolment.ts and lifecycle.ts. */
import { fits, type LabelSelector } from '../../core/labels.ts';
import { labelsOf, newMachine } from '../../core/machine.ts';
import { type MachineWithOperation, toMachine } from '../rows/machine-row.ts';
import { toPage } from '../rows/page.ts';
import type { Store } from '../store.ts';
import { type Context, read } from './context.ts';
import { SELECT_MACHINE } from './tables/select-machine.ts';

type Methods = Pick<Store, 'createMachine' | 'getMachine' | 'listMachines'>;

type Query = Parameters<Store['listMachines']>[0];

/** Labels first: they are what the list is selected by. */
const SELECT_LABELLED = SELECT_MACHINE.replace(
  'FROM machines m',
  'FROM machine_labels l CROSS JOIN machines m ON m.machine = l.machine',
);

/** Machines at rest. */
export function machineMethods({ db, write, machines }: Context): Methods {
  const find = db.prepare<[string], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.machine_id = ?`);
  const list = db.prepare<[number, number], MachineWithOperation>(
    `${SELECT_MACHINE} WHERE m.machine > ? AND m.phase <> 'destroyed' ORDER BY m.machine LIMIT ?`,
  );

  const byValue = db.prepare<[string, string, number], MachineWithOperation>(
    `${SELECT_LABELLED} WHERE l.key = ? AND l.value = ? AND l.machine > ? ORDER BY l.machine`,
  );
  const byKey = db.prepare<[string, number], MachineWithOperation>(
    `${SELECT_LABELLED} WHERE l.key = ? AND l.machine > ? ORDER BY l.machine`,
  );

  const named = db.prepare<[string, number], MachineWithOperation>(
    `${SELECT_MACHINE} WHERE m.name = ? AND m.desired_state <> 'destroyed' AND m.machine > ?`,
  );

  /** As many as an API key is limited to: few. */
  function listSome(machineIds: readonly string[], after: number): MachineWithOperation[] {
    return [...new Set(machineIds)]
      .map((machineId) => find.get(machineId))
      .filter((row) => row !== undefined)
      .filter((row) => row.phase !== 'destroyed' && row.machine > after)
      .sort((a, b) => a.machine - b.machine);
  }

  /** Machines with the first label, in the order of their keys; the others are looked at one by one. */
  function labelled([first]: readonly LabelSelector[], after: number): Iterable<MachineWithOperation> {
    if (first === undefined) return [];
    return first.value === undefined ? byKey.iterate(first.key, after) : byValue.iterate(first.key, first.value, after);
  }

  function* fitting(
    rows: Iterable<MachineWithOperation>,
    labels: readonly LabelSelector[],
  ): Generator<MachineWithOperation> {
    for (const row of rows) if (fits(labelsOf(toMachine(row)), labels)) yield row;
  }

  function rowsOf({ machineIds, name, labels = [], limit, after = 0 }: Query): Iterable<MachineWithOperation> {
    if (name !== undefined) {
      const rows = named.all(name, after).filter((row) => machineIds?.includes(row.machine_id) ?? true);
      return fitting(rows, labels);
    }
    if (machineIds !== undefined) return fitting(listSome(machineIds, after), labels);
    return labels.length === 0 ? list.iterate(after, limit + 1) : fitting(labelled(labels, after), labels);
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
    listMachines: (p) => read(() => toPage(rowsOf(p), p.limit, (row) => row.machine, toMachine)),
  };
}
