/** Converts between a machine and its row, for any database: both select under these names, with true as 1. */
import type { Operation } from '../../core/machines/operation.ts';
import type { Machine } from '../store.ts';
import { JSON_COLUMN } from './json-columns.ts';

export interface MachineRow {
  id: number;
  public_id: string;
  name: string | null;
  created_at: number;
  vcpu: number;
  memory_mib: number;
  storage_gib: number;
  autosleep_seconds: number;
  desired_state: string;
  phase: string;
  reason: string;
  revision: number;
  last_transition_at: number;
  last_progress_at: number;
  agent: string;
  epoch: number;
  away_since: number | null;
  runner_instance: string | null;
  boot_id: string | null;
  provider: string | null;
  provider_ref: string | null;
  attributes: string | null;
  host: string | null;
  agent_labels: string | null;
  own_labels: string | null;
  provider_state: string;
  last_operation: number;
  last_error: string | null;
  failed_for_good: number;
  resizing: number;
  sleep_reason: string | null;
  expected_at: number | null;
  credential_hash: Buffer | null;
  enrolled_with: number | null;
  credential_replaced: number;
}

/** The machine's row in machine_operations; all NULL if it has none. */
interface OperationRow {
  operation_number: number | null;
  operation_name: string | null;
  operation_attempt: number | null;
  operation_running: number | null;
  operation_due_at: number | null;
  operation_restarts: number | null;
}

export type MachineWithOperation = MachineRow & OperationRow;

/** Returns the machine of a row. NULL becomes absent. */
export function toMachine(row: MachineWithOperation): Machine {
  const machine: Machine = {
    machineId: row.public_id,
    createdAt: row.created_at,
    facts: { vcpu: row.vcpu, memory_mib: row.memory_mib, storage_gib: row.storage_gib },
    autosleepSeconds: row.autosleep_seconds,
    desiredState: row.desired_state as Machine['desiredState'],
    phase: row.phase as Machine['phase'],
    reason: row.reason as Machine['reason'],
    revision: row.revision,
    lastTransitionAt: row.last_transition_at,
    lastProgressAt: row.last_progress_at,
    agent: row.agent as Machine['agent'],
    epoch: row.epoch,
    providerState: row.provider_state as Machine['providerState'],
    lastOperation: row.last_operation,
    failedForGood: row.failed_for_good === 1,
    resizing: row.resizing === 1,
  };
  if (row.name !== null) machine.name = row.name;
  if (row.away_since !== null) machine.awaySince = row.away_since;
  if (row.runner_instance !== null) machine.runnerInstance = row.runner_instance;
  if (row.boot_id !== null) machine.bootId = row.boot_id;
  if (row.provider !== null) machine.provider = row.provider;
  if (row.provider_ref !== null) machine.providerRef = row.provider_ref;
  if (row.attributes !== null) machine.attributes = JSON_COLUMN.stringRecord('attributes', row.attributes);
  if (row.host !== null) machine.host = JSON_COLUMN.host('host', row.host);
  if (row.agent_labels !== null) machine.agentLabels = JSON_COLUMN.stringRecord('agent_labels', row.agent_labels);
  if (row.own_labels !== null) machine.ownLabels = JSON_COLUMN.stringRecord('own_labels', row.own_labels);
  if (row.last_error !== null) machine.lastError = row.last_error;
  if (row.sleep_reason === 'autosleep') machine.sleepReason = row.sleep_reason;
  if (row.expected_at !== null) machine.expectedAt = row.expected_at;
  if (row.operation_number !== null) machine.operation = operationOf(row, row.operation_number);
  return machine;
}

function operationOf(row: OperationRow, number: number): NonNullable<Machine['operation']> {
  return {
    number,
    name: row.operation_name as Operation,
    attempt: row.operation_attempt ?? 0,
    running: row.operation_running === 1,
    dueAt: row.operation_due_at ?? 0,
    restarts: row.operation_restarts ?? 0,
  };
}
