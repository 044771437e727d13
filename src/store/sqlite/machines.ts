/** Machines: made, found, listed. What happens to them is in machine-connection.ts, enrolment.ts and machine-removal.ts. */
import type { Machine, Page, Store } from '../store.ts';
import { type Context, read, toPage } from './context.ts';
import { type MachineRow, machineOf, toMachine } from './machine-row.ts';

type Methods = Pick<Store, 'createMachine' | 'getMachine' | 'listMachines'>;

/** Machines at rest. */
export function machineMethods({ db, write }: Context): Methods {
  const find = db.prepare<[string], MachineRow>('SELECT * FROM machines WHERE machine_id = ?');
  const list = db.prepare<[number, number], MachineRow>(
    "SELECT * FROM machines WHERE machine > ? AND phase <> 'destroyed' ORDER BY machine LIMIT ?",
  );
  const insert = db.prepare<[{ machineId: string; now: number }], MachineRow>(
    `INSERT INTO machines (machine_id, created_at, phase, last_transition_at, last_progress_at)
     VALUES ($machineId, $now, 'placement_pending', $now, $now) ON CONFLICT DO NOTHING RETURNING *`,
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
        const row = insert.get(p);
        return row === undefined ? { outcome: 'exists' } : { outcome: 'created', machine: toMachine(row) };
      }),
    getMachine: ({ machineId }) => read(() => machineOf(find.get(machineId))),
    listMachines: ({ machineIds, limit, after = 0 }) =>
      read(() =>
        machineIds === undefined
          ? toPage(list.iterate(after, limit + 1), limit, (row) => row.machine, toMachine)
          : listSome(machineIds, after, limit),
      ),
  };
}
