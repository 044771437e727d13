/** Makes and changes machines on request, stores the operations of their providers, and finds idle machines. */
import { toMachine } from '../rows/machine-row.ts';
import { toPage } from '../rows/page.ts';
import type { LifecycleStore } from '../store.ts';
import { beginOperation, changeMachine, endOperation, placeMachine } from '../transactions/machines.ts';
import type { Context } from './context.ts';
import { type MachineRow, SELECT_MACHINE } from './statements/select-machine.ts';
import { onBehalf } from './writers/needs.ts';

const LIST_IDLE = `${SELECT_MACHINE} WHERE m.phase = 'running' AND m.autosleep_seconds > 0 AND m.id > $1 AND m.waiting = 0
  AND NOT EXISTS (SELECT 1 FROM executions e
    WHERE e.machine_id = m.id AND e.dispatched_to IS NOT NULL AND e.completed_at IS NULL
    AND (NOT e.is_terminal OR e.started_at IS NULL OR e.output_read_at > $3))
  ORDER BY m.id LIMIT $2`;
const LIST_DUE = `${SELECT_MACHINE} WHERE NOT o.running AND m.provider = $1 AND o.due_at <= $2 ORDER BY o.due_at LIMIT $3`;

/** The lifecycle of machines. */
export function lifecycleMethods({ read, writers, replicaId }: Context): LifecycleStore {
  return {
    placeMachine: (p) => {
      const { machineId, name, provider } = p.machine;
      return writers.write(machineId, {
        needs: { machines: [machineId], creates: 'machine', countOf: provider, name, ...onBehalf(p, machineId) },
        run: (tx) => placeMachine(tx, p),
      });
    },
    changeMachine: (p) => {
      const name = p.request.type === 'configure' ? p.request.name : undefined;
      return writers.write(p.machineId, {
        needs: { machines: [p.machineId], unfinished: p.machineId, name, ...onBehalf(p, p.machineId) },
        run: (tx) => changeMachine(tx, p),
      });
    },
    async listIdle({ after, limit, now }) {
      const rows = await read<MachineRow>({ text: LIST_IDLE, values: [after, limit + 1, now] });
      const activityOf = (row: MachineRow): string => `${row.last_dispatch_number} ${row.revision}`;
      return toPage(
        rows,
        limit,
        (row) => row.id,
        (row) => ({ machine: toMachine(row), activity: activityOf(row) }),
      );
    },
    async listProviders() {
      const text =
        "SELECT DISTINCT provider FROM machines WHERE provider IS NOT NULL AND phase <> 'destroyed' ORDER BY 1";
      return (await read<{ provider: string }>({ text })).map(({ provider }) => provider);
    },
    async listDueOperations({ provider, now, limit }) {
      return (await read<MachineRow>({ text: LIST_DUE, values: [provider, now, limit] })).map(toMachine);
    },
    async nextOperationAt() {
      const text = 'SELECT min(due_at) AS at FROM machine_operations WHERE NOT running';
      const [row] = await read<{ at: number | null }>({ text });
      return row?.at ?? undefined;
    },
    beginOperation: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId] },
        run: (tx) => {
          const begun = beginOperation(tx, p);
          if (begun.outcome === 'begun') tx.machines.operate(p.machineId, replicaId());
          return begun;
        },
      }),
    endOperation: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId], unfinished: p.machineId },
        run: (tx) => endOperation(tx, p),
      }),
  };
}
