/** Creates, finds, lists and connects machines. Each connection has an epoch, and belongs to the server that holds it. */
import { abandonWaiting } from '../../core/decisions/restore.ts';
import { newMachine } from '../../core/machines/machine.ts';
import { toMachine } from '../rows/machine-row.ts';
import { toPage } from '../rows/page.ts';
import type { ConnectionStore, MachineStore } from '../store.ts';
import { advanceMachine, machineConnected } from '../transactions/machines.ts';
import type { Context } from './context.ts';
import { hasLabel, labelValues, type MachineRow, SELECT_MACHINE } from './statements/select-machine.ts';
import type { Doubts } from './writers/needs.ts';

const LIST = `${SELECT_MACHINE} WHERE m.id > $1 AND m.phase <> 'destroyed' AND ($3::text[] IS NULL OR m.public_id = ANY($3))`;
const NAMED = `${LIST} AND m.name = $4 AND m.desired_state <> 'destroyed'`;
/** The MachineStore of PostgreSQL. */
export function machineMethods({ read, writers }: Context): MachineStore {
  return {
    createMachine: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId], creates: 'machine' },
        run: ({ machines }) => {
          const record = machines.insert(newMachine(p));
          return record === undefined ? { outcome: 'exists' } : { outcome: 'created', machine: record.machine };
        },
      }),
    async getMachine({ machineId }) {
      const text = `${SELECT_MACHINE} WHERE m.public_id = $1`;
      const [row] = await read<MachineRow>({ name: 'get-machine', text, values: [machineId] });
      return row && toMachine(row);
    },
    async listMachines({ machineIds = null, name, labels = [], limit, after = 0 }) {
      const names = name === undefined ? [] : [name];
      const labelled = labels.map((_, index) => `AND ${hasLabel(4 + names.length + 2 * index)}`).join(' ');
      const text = `${name === undefined ? LIST : NAMED} ${labelled} ORDER BY m.id LIMIT $2`;
      const values = [after, limit + 1, machineIds, ...names, ...labels.flatMap(labelValues)];
      const rows = await read<MachineRow>({ text, values });
      return toPage(rows, limit, (row) => row.id, toMachine);
    },
  };
}

/** Maximum dispatch number accepted from an agent: no agent may raise the machine's numbers near the end of safe integers. */
const MAX_TAKEN_OVER = 2 ** 52;

function doubtsOf(p: Parameters<ConnectionStore['machineConnected']>[0]): Doubts {
  const { machineId, runnerInstance, lastDispatchNumber = 0, held = [], now } = p;
  return { machineId, runnerInstance, lastDispatchNumber, held, now };
}

/** The ConnectionStore of PostgreSQL. */
export function connectionMethods({ read, writers, transactions, replicaId }: Context): ConnectionStore {
  return {
    machineConnected: (p) =>
      writers.write(p.machineId, {
        needs: { machines: [p.machineId], doubtful: doubtsOf(p) },
        run: (tx) => {
          const { machineId, runnerInstance, lastDispatchNumber = 0, now } = p;
          const thisReplica = replicaId();
          if (tx.machines.isHeldElsewhere(machineId, { replicaId: thisReplica, runnerInstance }))
            return { outcome: 'held' };
          const connected = machineConnected(tx, p);
          if (connected.outcome !== 'applied') return connected;
          const taken = Math.min(lastDispatchNumber, MAX_TAKEN_OVER);
          tx.machines.own(machineId, { replicaId: thisReplica, lastDispatchNumber: taken });
          const ended = tx.doubtful(machineId).map((record) => {
            const change = abandonWaiting(record, { cause: 'commits_lost', now });
            tx.save(change);
            return change.after.execution;
          });
          const hasWaiting = (tx.queue(machineId)?.waiting ?? 0) > 0;
          return ended.length === 0 ? connected : { ...connected, hasWaiting, ended };
        },
      }),
    machineDisconnected: ({ machineId, epoch, now }) =>
      writers.write(machineId, {
        needs: { machines: [machineId] },
        run: ({ machines }) => {
          const record = machines.find(machineId);
          const step = record && advanceMachine(machines, record, { type: 'agent_disconnected', epoch }, { now });
          return step?.ok === true ? 'applied' : 'stale';
        },
      }),
    async findMachineByCredential({ credentialHash }) {
      const text = `${SELECT_MACHINE} WHERE m.credential_hash = $1`;
      const [row] = await read<MachineRow>({ name: 'find-by-credential', text, values: [credentialHash] });
      return row && toMachine(row);
    },
    replaceCredential: ({ machineId, credentialHash = null }) =>
      transactions.run(async (connection) => {
        const text = `UPDATE machines SET credential_hash = $1, enrolled_with = NULL, credential_replaced = false
          WHERE public_id = $2 AND desired_state <> 'destroyed'`;
        const { count } = await connection.run({ text, values: [credentialHash, machineId] });
        return count === 1 ? 'applied' : 'not_found';
      }),
  };
}
