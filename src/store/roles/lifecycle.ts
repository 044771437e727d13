/** The lifecycle of machines: creating, changing and removing them on request, and the operations of their providers. */
import type { Capabilities, MachineChangeRefusal, MachineRequest } from '../../core/decisions/machine-change.ts';
import type { Execution } from '../../core/execution.ts';
import type { Labels } from '../../core/machines/labels.ts';
import type { Machine } from '../../core/machines/machine.ts';
import type { OperationEvent } from '../../core/machines/operation.ts';
import type { MachineFacts } from '../../core/machines/machine-facts.ts';
import type { JoinToken } from './enrolment.ts';
import type { ActorRevoked, OnBehalf, Replay } from './idempotency.ts';

export interface NewMachine {
  machineId: string;
  name?: string;
  facts: MachineFacts;
  autosleepSeconds: number;
  provider?: string;
  attributes?: Readonly<Record<string, string>>;
  labels?: Labels;
}

export type MachineChangeOutcome =
  /** `ended`: executions that ended with it. */
  | { outcome: 'changed'; machine: Machine; ended: Execution[] }
  /** The machine has the requested state already. */
  | { outcome: 'unchanged'; machine: Machine }
  | { outcome: 'refused'; refusal: MachineChangeRefusal; machine: Machine; activeExecutions: number }
  | { outcome: 'not_found' }
  | Replay
  | ActorRevoked;

/** The result of an attempt at an operation. `providerRef`: the provider's name for the machine. */
export type OperationResult = { providerRef?: string } & Extract<
  OperationEvent,
  { type: 'operation_answered' | 'operation_failed' }
>;

export interface LifecycleStore {
  /** `maxMachines`: the maximum number of machines of its provider, without removed ones. */
  placeMachine(
    p: { machine: NewMachine; maxMachines?: number; now: number } & OnBehalf,
  ): Promise<
    | { outcome: 'created'; machine: Machine }
    | { outcome: 'exists' | 'name_taken' | 'provider_full' }
    | Replay
    | ActorRevoked
  >;
  /** Decides and writes a change of the machine in one transaction. Without `expectedRevision` any revision may be changed. */
  changeMachine(
    p: {
      machineId: string;
      request: MachineRequest;
      capabilities: Capabilities;
      expectedRevision?: number;
      now: number;
    } & OnBehalf,
  ): Promise<MachineChangeOutcome>;
  /**
   * Machines that run, may be put to sleep when idle, and have no execution that waits or runs, nor a terminal with a client at `now`; oldest
   * first, after `after`.
   */
  listIdle(p: { after: number; limit: number; now: number }): Promise<{ items: IdleMachine[]; next?: number }>;

  /** Providers with machines that are not removed. */
  listProviders(): Promise<string[]>;
  /** Machines of the provider whose operation may start now, the longest due first. */
  listDueOperations(p: { provider: string; now: number; limit: number }): Promise<Machine[]>;
  /** Time at which the next operation may start. `undefined` if none waits. */
  nextOperationAt(): Promise<number | undefined>;
  /**
   * Records the start of a hook, before the hook starts. `joinToken`: for the machine's agent; the token of an earlier attempt is kept and
   * stays valid. `stale`: the machine has another operation by now.
   */
  beginOperation(p: {
    machineId: string;
    number: number;
    joinToken?: { token: JoinToken; tokenHash: Buffer };
    now: number;
  }): Promise<{ outcome: 'begun'; machine: Machine } | { outcome: 'stale' }>;
  /** Records the result of the hook. Executions that wait for a machine that cannot be woken end as wake_failed. */
  endOperation(p: {
    machineId: string;
    result: OperationResult;
    now: number;
  }): Promise<{ outcome: 'applied'; machine: Machine; ended: Execution[] } | { outcome: 'stale' }>;
}

/** An idle machine. It was idle throughout the time in which `activity` did not change. */
export interface IdleMachine {
  machine: Machine;
  activity: string;
}
