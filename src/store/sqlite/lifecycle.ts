/** Makes and changes machines on request, stores the operations of their providers, and finds idle machines. */
import { beginOperation, changeMachine, placeMachine, endOperation } from '../transactions/machines.ts';
import type { LifecycleStore } from '../store.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './tables/context.ts';
import { type MachineWithOperation, toMachine } from '../rows/machine-row.ts';
import { SELECT_MACHINE } from './tables/select-machine.ts';

type IdleRow = MachineWithOperation & { last_dispatch_number: number };

/** The lifecycle of machines. */
export function lifecycleMethods({ db, write, tx }: Context): LifecycleStore {
  const idle = db.prepare<[number, number, number], IdleRow>(
    `${SELECT_MACHINE} WHERE m.phase = 'running' AND m.autosleep_seconds > 0 AND m.id > ? AND m.waiting = 0
     AND NOT EXISTS (SELECT 1 FROM executions e
       WHERE e.machine_id = m.id AND e.dispatched_to IS NOT NULL AND e.completed_at IS NULL
       AND (e.is_terminal = 0 OR e.started_at IS NULL OR e.output_read_at > ?))
     ORDER BY m.id LIMIT ?`,
  );
  const providers = db
    .prepare<[], string>("SELECT DISTINCT provider FROM machines WHERE provider > '' AND phase <> 'destroyed'")
    .pluck();
  const due = db.prepare<[string, number, number], MachineWithOperation>(
    `${SELECT_MACHINE} WHERE o.running = 0 AND m.provider = ? AND o.due_at <= ? ORDER BY o.due_at LIMIT ?`,
  );
  const next = db.prepare<[], number | null>('SELECT min(due_at) FROM machine_operations WHERE running = 0').pluck();

  return {
    placeMachine: (p) => write(() => placeMachine(tx, p)),
    changeMachine: (p) => write(() => changeMachine(tx, p)),
    listIdle: ({ after, limit, now }) =>
      read(() =>
        toPage(
          idle.iterate(after, now, limit + 1),
          limit,
          (row) => row.id,
          (row) => ({
            machine: toMachine(row),
            activity: `${row.last_dispatch_number} ${row.revision}`,
          }),
        ),
      ),
    listProviders: () => read(() => providers.all()),
    listDueOperations: ({ provider, now, limit }) => read(() => due.all(provider, now, limit).map(toMachine)),
    nextOperationAt: () => read(() => next.get() ?? undefined),
    beginOperation: (p) => write(() => beginOperation(tx, p)),
    endOperation: (p) => write(() => endOperation(tx, p)),
  };
}
