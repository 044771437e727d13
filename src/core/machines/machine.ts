/** The machine: its phases, and the only function that changes them. The rules themselves are in lifecycle.ts. */
import { isHookRunning, ruleOf } from './lifecycle.ts';
import {
  type Changes,
  concerns,
  nextOperation,
  type OperationEvent,
  operationChanges,
  type PendingOperation,
  type ProviderState,
} from './operation.ts';
import type { Labels } from './labels.ts';
import type { Host, MachineFacts } from './machine-facts.ts';

export const MACHINE_PHASES = [
  'accepted',
  'placement_pending',
  'starting',
  'running',
  'stopping',
  'sleeping',
  'destroying',
  'destroyed',
  'failed',
] as const;
export type Phase = (typeof MACHINE_PHASES)[number];

export const MACHINE_REASONS = [
  'never_joined',
  'agent_connected',
  'agent_away',
  'create_requested',
  'waiting_for_agent',
  'wake_requested',
  'sleep_requested',
  'autosleep',
  'slept',
  'provider_failed',
  'removed',
] as const;
export type Reason = (typeof MACHINE_REASONS)[number];

export const DESIRED_STATES = ['running', 'sleeping', 'destroyed'] as const;
export type DesiredState = (typeof DESIRED_STATES)[number];

/** The part of a machine that `transitionMachine` reads and writes. Times are ms since the epoch, on the server's clock. */
export interface MachineState {
  /** Absent: only its owner can start and stop it. */
  provider?: string;
  desiredState: DesiredState;
  phase: Phase;
  reason: Reason;
  /** Changes with every transition, and with every change of its settings. */
  revision: number;
  lastTransitionAt: number;
  lastProgressAt: number;
  agent: 'never_joined' | 'connected' | 'away';
  /** Rises with each connection of its agent: writes of an earlier connection are stale. */
  epoch: number;
  /** When its agent was last connected, or could have been. Absent while it is connected, and before it first joined. */
  awaySince?: number;
  providerState: ProviderState;
  operation?: PendingOperation;
  /** The number of its latest operation. */
  lastOperation: number;
  /** The last error. Absent once an operation succeeded. */
  lastError?: string;
  /** The provider answered that another attempt cannot succeed. */
  failedForGood: boolean;
  /** Its size was changed here and not yet at the provider. */
  resizing: boolean;
  /** When a machine that is being created or woken is expected. */
  expectedAt?: number;
  /** Why it is put to sleep, if no caller asked for it. */
  sleepReason?: 'autosleep';
}

/** A machine. */
export interface Machine extends MachineState {
  machineId: string;
  /** The name for people. */
  name?: string;
  createdAt: number;
  /** Its size: as requested if it has a provider, else as its agent reported. */
  facts: MachineFacts;
  /** As its agent last reported. */
  host?: Host;
  agentLabels?: Labels;
  /** Set through the API. They win over those of its agent. */
  ownLabels?: Labels;
  /** Idle time after which it is put to sleep; 0: never. */
  autosleepSeconds: number;
  /** The provider's name for it. */
  providerRef?: string;
  /** The attributes that its create passed on to the provider. */
  attributes?: Readonly<Record<string, string>>;
  /** The runner instance seen last. */
  runnerInstance?: string;
  bootId?: string;
}

export type MachineEvent =
  /** An agent exchanged a join token for the machine's credential. */
  | { type: 'enrolled' }
  | { type: 'agent_connected' }
  /** `epoch`: of the connection that ended. Absent: any connection has ended. */
  | { type: 'agent_disconnected'; epoch?: number }
  | { type: 'desired'; state: DesiredState; sleepReason?: 'autosleep' }
  /** Its settings changed. `resize`: whether its provider has to apply them. */
  | { type: 'changed'; resize: boolean }
  /** It was removed without its provider, whose resources are left behind. */
  | { type: 'forgotten' }
  | OperationEvent;

type MachineRefusal =
  /** It is removed, or is being removed. */
  | 'destroyed'
  /** It has the requested state already. */
  | 'unchanged'
  /** It is being put to sleep: its agent has to wait. */
  | 'stopping'
  /** It has no provider that could do that. */
  | 'no_provider'
  /** The machine has another operation by now, or the event repeats an earlier one. */
  | 'stale';

export type MachineTransition<S extends MachineState> = { ok: true; next: S } | { ok: false; refusal: MachineRefusal };

/** Returns a machine that is new at `now`. Without a provider it waits for an agent that joins. */
export function newMachine(p: {
  machineId: string;
  name?: string;
  now: number;
  facts?: MachineFacts;
  autosleepSeconds?: number;
  provider?: string;
  attributes?: Readonly<Record<string, string>>;
  labels?: Labels;
}): Machine {
  const { machineId, name, now, provider, attributes, labels } = p;
  const start: Machine = {
    machineId,
    ...(name === undefined ? {} : { name }),
    createdAt: now,
    facts: p.facts ?? { vcpu: 0, memory_mib: 0, storage_gib: 0 },
    autosleepSeconds: p.autosleepSeconds ?? 0,
    ...(provider === undefined ? {} : { provider }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(labels === undefined ? {} : { ownLabels: labels }),
    desiredState: 'running',
    phase: 'accepted',
    reason: 'create_requested',
    revision: 1,
    lastTransitionAt: now,
    lastProgressAt: now,
    agent: 'never_joined',
    epoch: 0,
    providerState: 'absent',
    lastOperation: 0,
    failedForGood: false,
    resizing: false,
  };
  return { ...withRules(start, {}, now), revision: 1 };
}

/**
 * Returns the state of a machine after `event`, at `now` (ms since the epoch). Pure and total. A refusal means that the event changes
 * nothing. The phase, its reason and the next operation follow from the rules in lifecycle.ts.
 */
export function transitionMachine<S extends MachineState>(
  state: S,
  event: MachineEvent,
  now: number,
): MachineTransition<S> {
  const refusal = refusalOf(state, event);
  if (refusal !== undefined) return { ok: false, refusal };
  return { ok: true, next: withRules(state, applied(state, event, now), now, event) };
}

/** Returns the labels in effect. */
export function labelsOf({ agentLabels, ownLabels }: Pick<Machine, 'agentLabels' | 'ownLabels'>): Labels {
  return { ...agentLabels, ...ownLabels };
}

/** Whether a machine is removed or being removed. */
export function isRemoved({ desiredState }: Pick<MachineState, 'desiredState'>): boolean {
  return desiredState === 'destroyed';
}

/** Whether a retry, or time, can bring a machine to its desired state. */
export function isRetryable({ phase, failedForGood }: Pick<MachineState, 'phase' | 'failedForGood'>): boolean {
  return phase !== 'destroyed' && !failedForGood;
}

function refusalOf(state: MachineState, event: MachineEvent): MachineRefusal | undefined {
  if (state.phase === 'destroyed')
    return event.type === 'desired' && event.state === 'destroyed' ? 'unchanged' : 'destroyed';
  switch (event.type) {
    case 'enrolled':
    case 'changed':
      return isRemoved(state) ? 'destroyed' : undefined;
    case 'agent_connected':
      if (isRemoved(state)) return 'destroyed';
      return state.phase === 'stopping' || isHookRunning(state, 'sleep') ? 'stopping' : undefined;
    case 'agent_disconnected':
      return state.agent === 'connected' && (event.epoch ?? state.epoch) === state.epoch ? undefined : 'stale';
    case 'desired':
      return refusedDesire(state, event.state);
    case 'forgotten':
      return undefined;
    default:
      return concerns(event, state.operation) ? undefined : 'stale';
  }
}

/** Returns the refusal of a desired state. A new request tries again an operation that failed for good. */
function refusedDesire(state: MachineState, desired: DesiredState): MachineRefusal | undefined {
  if (isRemoved(state) && desired !== 'destroyed') return 'destroyed';
  if (state.desiredState === desired) return state.failedForGood ? undefined : 'unchanged';
  return state.provider === undefined && desired === 'sleeping' ? 'no_provider' : undefined;
}

/** Returns the changes of the event itself; `undefined` clears a field. */
function applied(state: MachineState, event: MachineEvent, now: number): Changes {
  switch (event.type) {
    case 'enrolled':
      return {};
    case 'agent_connected':
      return {
        agent: 'connected',
        epoch: state.epoch + 1,
        awaySince: undefined,
        providerState: 'running',
        // It was started by somebody else: its agent is connected, so it runs.
        desiredState: 'running',
        failedForGood: false,
        lastError: undefined,
        expectedAt: undefined,
      };
    case 'agent_disconnected':
      return {
        agent: 'away',
        awaySince: now,
        epoch: event.epoch === undefined ? state.epoch + 1 : state.epoch,
      };
    case 'desired':
      return {
        desiredState: event.state,
        sleepReason: event.sleepReason,
        failedForGood: false,
        ...(event.state === 'destroyed' ? afterRemoval(state) : {}),
      };
    case 'changed':
      return { resizing: state.resizing || (event.resize && state.provider !== undefined), failedForGood: false };
    case 'forgotten':
      return {
        desiredState: 'destroyed',
        providerState: 'absent',
        operation: undefined,
        failedForGood: false,
        ...afterRemoval(state),
      };
    default:
      return operationChanges(state, event, now);
  }
}

/** Returns the changes of a removal. The credential is revoked, so the agent cannot connect again and nothing waits for it. */
function afterRemoval(state: MachineState): Changes {
  const agent = state.agent === 'connected' ? 'away' : state.agent;
  return { agent, epoch: state.epoch + 1, awaySince: undefined };
}

/** Sets the phase, its reason and the next operation according to the rules for `after`. */
function withRules<S extends MachineState>(before: S, changes: Changes, now: number, event?: MachineEvent): S {
  const after = present({ ...before, ...changes }) as S;
  const { phase, reason, operation: operationName } = ruleOf(after);
  const operation = nextOperation(after, operationName, now);
  const moved = phase !== before.phase || reason !== before.reason;
  const changed = event?.type === 'changed' || after.desiredState !== before.desiredState;
  return present({
    ...after,
    phase,
    reason,
    operation,
    lastOperation: operation?.number ?? after.lastOperation,
    revision: before.revision + Number(moved || changed),
    lastTransitionAt: moved ? now : before.lastTransitionAt,
    lastProgressAt: now,
    sleepReason: after.desiredState === 'sleeping' ? after.sleepReason : undefined,
  }) as S;
}

/** Returns a copy without undefined fields. */
function present(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
