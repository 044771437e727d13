/** Machines: creating and finding them, and their connections. */
import type { Execution } from '../../core/execution.ts';
import type { Machine } from '../../core/machines/machine.ts';
import type { Labels, LabelSelector } from '../../core/machines/labels.ts';
import type { Host, MachineFacts } from '../../core/machines/machine-facts.ts';
import type { Page, PageRequest } from './pages.ts';

export type { Machine };

export interface MachineStore {
  createMachine(p: {
    machineId: string;
    now: number;
  }): Promise<{ outcome: 'created'; machine: Machine } | { outcome: 'exists' }>;
  /** Also returns a removed machine (phase destroyed). */
  getMachine(p: { machineId: string }): Promise<Machine | undefined>;
  /**
   * Machines that are not removed, oldest first. `machineIds` and `name` limit the list to these machines, `labels` to those that match
   * each label.
   */
  listMachines(
    p: { machineIds?: readonly string[]; name?: string; labels?: readonly LabelSelector[] } & PageRequest,
  ): Promise<Page<Machine>>;
}

/** The connections of machines, and the credentials for them. */
export interface ConnectionStore {
  /**
   * Gives the machine a new connection with the next epoch: writes of an earlier connection become stale. `lastDispatchNumber`: the highest
   * number that the instance has accepted. If the machine's number is lower (the database was restored from a backup, or lost commits), it
   * rises to that, because the agent would never start an execution with a lower number. `held`: executions that the agent has. Waiting
   * executions of the machine that may have been dispatched by lost commits end as agent_lost. `credentialHash`: SHA-256 of the credential
   * with which the agent has authenticated. Absent: it is not checked.
   */
  machineConnected(p: {
    machineId: string;
    runnerInstance: string;
    bootId: string;
    facts: MachineFacts;
    host?: Host;
    labels?: Labels;
    lastDispatchNumber?: number;
    held?: readonly string[];
    credentialHash?: Buffer;
    now: number;
  }): Promise<
    | {
        outcome: 'applied';
        machine: Machine;
        epoch: number;
        /** Whether the connection before was of the same runner instance. */
        isSameInstance: boolean;
        /** Whether executions wait for the machine. */
        hasWaiting: boolean;
        ended?: readonly Execution[];
      }
    | { outcome: 'removed' }
    /** The credential was replaced or revoked since the agent has authenticated. */
    | { outcome: 'credential_invalid' }
    /** The machine is being put to sleep: its agent may reconnect later. */
    | { outcome: 'stopping' }
    /** Another runner instance is connected with its credential, to another server. */
    | { outcome: 'held' }
  >;
  /** Marks the machine offline if this was its connection; `stale` if another one has replaced it, or it was offline already. */
  machineDisconnected(p: { machineId: string; epoch: number; now: number }): Promise<'applied' | 'stale'>;
  /** SHA-256 of an agent's credential → its machine. */
  findMachineByCredential(p: { credentialHash: Buffer }): Promise<Machine | undefined>;
  /** Revokes the old credential; `not_found` also for a removed machine. */
  replaceCredential(p: {
    machineId: string;
    credentialHash: Buffer | undefined;
    now: number;
  }): Promise<'applied' | 'not_found'>;
}
