/** Machines that come and go: made, changed and removed on request, and what their providers are asked to do. */
import type { Capabilities, MachineChangeRefusal, MachineRequest } from '../../core/decisions/machine-change.ts';
import type { Execution } from '../../core/execution.ts';
import type { Labels } from '../../core/labels.ts';
import type { Machine } from '../../core/machine.ts';
import type { OperationEvent } from '../../core/operation.ts';
import type { MachineFacts } from '../../core/machine-facts.ts';
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
  /** It is already what was asked for. */
  | { outcome: 'unchanged'; machine: Machine }
  | { outcome: 'refused'; refusal: MachineChangeRefusal; machine: Machine; activeExecutions: number }
  | { outcome: 'not_found' }
  | Replay
  | ActorRevoked;

/** How an attempt at an operation ended. `providerRef`: what the provider calls the machine. */
export type OperationResult = { providerRef?: string } & Extract<
  OperationEvent,
  { type: 'operation_answered' | 'operation_failed' }
>;

export interface LifecycleStore {
  /** `maxMachines`: the most that its provider may have, removed ones left out. */
  placeMachine(
    p: { machine: NewMachine; maxMachines?: number; now: number } & OnBehalf,
  ): Promise<
    | { outcome: 'created'; machine: Machine }
    | { outcome: 'exists' | 'name_taken' | 'provider_full' }
    | Replay
    | ActorRevoked
  >;
  /** What the request makes of the machine is decided and written at once; without `expectedRevision` whatever its revision. */
  changeMachine(
    p: {
      machineId: string;
      request: MachineRequest;
      capabilities: Capabilities;
      expectedRevision?: number;
      now: number;
    } & OnBehalf,
  ): Promise<MachineChangeOutcome>;
  /** Machines that run, may be put to sleep when idle, and have nothing that waits or runs; oldest first, past `after`. */
  listIdle(p: { after: number; limit: number }): Promise<{ items: IdleMachine[]; next?: number }>;

  /** Providers that have machines which are not removed. */
  listProviders(): Promise<string[]>;
  /** Machines of the provider whose operation may begin now, longest due first. */
  listDueOperations(p: { provider: string; now: number; limit: number }): Promise<Machine[]>;
  /** When the next operation may begin; `undefined` when none waits. */
  nextOperationAt(): Promise<number | undefined>;
  /**
   * Writes down that a hook begins, before it does. `joinToken`: lets the machine's agent in; that of an earlier attempt is kept
   * and lives on. `stale`: the operation is another one by now.
   */
  beginOperation(p: {
    machineId: string;
    number: number;
    joinToken?: { token: JoinToken; tokenHash: Buffer };
    now: number;
  }): Promise<{ outcome: 'begun'; machine: Machine } | { outcome: 'stale' }>;
  /** Writes down how the hook ended. What waits for a machine that cannot be woken ends, as wake_failed. */
  settleOperation(p: {
    machineId: string;
    result: OperationResult;
    now: number;
  }): Promise<{ outcome: 'settled'; machine: Machine; ended: Execution[] } | { outcome: 'stale' }>;
}

/** A machine that has nothing to do. As long as `activity` stays the same it has had nothing to do. */
export interface IdleMachine {
  machine: Machine;
  activity: string;
}
