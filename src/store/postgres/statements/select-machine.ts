/** SQL that selects machines under the names of the shared rows. */
import type { LabelSelector } from '../../../core/machines/labels.ts';
import type { MachineWithOperation } from '../../rows/machine-row.ts';

/** A machine with the fields that only the store needs. */
export type MachineRow = MachineWithOperation & {
  last_dispatch_number: number;
  waiting: number;
  waiting_bytes: number;
  /** The server that holds its connection, and whether that server is alive. */
  owner: number | null;
  owner_alive: boolean;
  /** The server that runs the machine's hook. */
  operator: number | null;
};

/** Time without a heartbeat after which a server is declared dead, ms. */
export const REPLICA_DEAD_AFTER_MS = 10_000;
/** SQL condition on a row of replicas: the server is alive. */
export const REPLICA_ALIVE = `heartbeat_at > clock_timestamp() - interval '${REPLICA_DEAD_AFTER_MS} ms'`;

/** Append a WHERE clause whose columns begin with `m.`. */
export const SELECT_MACHINE = `SELECT m.id, m.public_id, m.name, m.created_at, m.vcpu, m.memory_mib,
  m.storage_gib, m.autosleep_seconds, m.desired_state, m.phase, m.reason, m.revision, m.last_transition_at, m.last_progress_at,
  m.agent, m.epoch, m.away_since, m.runner_instance, m.boot_id, m.provider, m.provider_ref, m.attributes, m.host, m.agent_labels,
  m.own_labels, m.provider_state,
  m.last_operation, m.last_error, m.failed_for_good::int AS failed_for_good, m.resizing::int AS resizing, m.sleep_reason,
  m.expected_at, m.credential_hash, m.enrolled_with, m.credential_replaced::int AS credential_replaced, m.last_dispatch_number,
  m.waiting, m.waiting_bytes, m.owner,
  coalesce((SELECT p.${REPLICA_ALIVE} FROM replicas p
    WHERE p.id = m.owner), false) AS owner_alive,
  o.number AS operation_number, o.name AS operation_name, o.attempt AS operation_attempt, o.running::int AS operation_running,
  o.due_at AS operation_due_at, o.restarts AS operation_restarts, o.replica_id AS operator
  FROM machines m LEFT JOIN machine_operations o ON o.machine_id = m.id`;

/** Returns the condition that `machines m` has the label whose key and value (or NULL, for any) are the parameters from `place` on. */
export const hasLabel = (place: number): string => `EXISTS (SELECT 1 FROM machine_labels l
  WHERE l.machine_id = m.id AND l.key = $${place} AND ($${place + 1}::text IS NULL OR l.value = $${place + 1}))`;
/** Returns the parameters of `hasLabel`. */
export const labelValues = ({ key, value }: LabelSelector): (string | null)[] => [key, value ?? null];

/** Returns the condition that `machines m` has one of these ids and all of these labels, and its parameters from `place` on. */
export function selectMachines(
  place: number,
  machineIds: readonly string[] | undefined,
  labels: readonly LabelSelector[],
): { condition: string; values: unknown[] } {
  const ids = machineIds === undefined ? [] : [machineIds];
  const first = place + ids.length;
  const conditions = [
    ...ids.map(() => `m.public_id = ANY($${place})`),
    ...labels.map((_, index) => hasLabel(first + 2 * index)),
  ];
  return { condition: conditions.join(' AND '), values: [...ids, ...labels.flatMap(labelValues)] };
}
