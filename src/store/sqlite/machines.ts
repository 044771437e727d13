/** Machines: made, found, listed. What happens to them is in machine-connection.ts, enrolment.ts and machine-removal.ts. */
import type { Machine, Page, Store } from '../store.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './context.ts';
import { newMachine } from '../../core/machine.ts';
import { type MachineWithOperation, toMachine } from '../rows/machine-row.ts';
import { SELECT_MACHINE } from './select-machine.ts';

type Methods = Pick<Store, 'createMachine' | 'getMachine' | 'listMachines'>;

/** Machines at rest. */
export function machineMethods({ db, write, machines }: Context): Methods {
  const find = db.prepare<[string], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.machine_id = ?`);
  const list = db.prepare<[number, number], MachineWithOperation>(
    `${SELECT_MACHINE} WHERE m.machine > ? AND m.phase <> 'destroyed' ORDER BY m.machine LIMIT ?`,
  );

  /** As many as an API key is limited to: few. */
  function listSome(machineIds: readonly string[], after: number, limit: number): Page<Machine> {
    const rows = [...new Set(machineIds)]
      .map((machineId) => find.get(machineId))
      .filter((row) => row !== undefined)
      .filter((row) => row.phase !== 'destroyed' && row.machine > after)
      .sort((a, b) => a.machine - b.machine);
    return toPage(rows, limit, (row) => row.machine, toMachine);
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
    listMachines: ({ machineIds, limit, after = 0 }) =>
      read(() =>
        machineIds === undefined
          ? toPage(list.iterate(after, limit + 1), limit, (row) => row.machine, toMachine)
          : listSome(machineIds, after, limit),
      ),
  };
}
