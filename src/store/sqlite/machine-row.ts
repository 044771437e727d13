/** A machine between its row and the domain. */
import type { Machine } from '../store.ts';

export interface MachineRow {
  machine: number;
  machine_id: string;
  created_at: number;
  vcpu: number;
  memory_mib: number;
  storage_gib: number;
  phase: string;
  revision: number;
  last_transition_at: number;
  last_progress_at: number;
  runner_instance: string | null;
  boot_id: string | null;
  credential_hash: Buffer | null;
  enrolled_with: number | null;
  credential_replaced: number;
  epoch: number;
}

/** To be set, with a `$now`, whenever `phase` changes. */
export const MOVED = 'revision = revision + 1, last_transition_at = $now, last_progress_at = $now';

/** The machine that a row stands for. */
export function toMachine(row: MachineRow): Machine {
  return {
    machineId: row.machine_id,
    createdAt: row.created_at,
    facts: { vcpu: row.vcpu, memory_mib: row.memory_mib, storage_gib: row.storage_gib },
    phase: row.phase as Machine['phase'],
    revision: row.revision,
    lastTransitionAt: row.last_transition_at,
    lastProgressAt: row.last_progress_at,
    ...(row.runner_instance === null ? {} : { runnerInstance: row.runner_instance }),
    ...(row.boot_id === null ? {} : { bootId: row.boot_id }),
  };
}

/** As `toMachine`, of a row that may be missing. */
export function machineOf(row: MachineRow | undefined): Machine | undefined {
  return row && toMachine(row);
}
