/** Rules that give the phase and the next operation of a machine for its desired and its observed state. */
import type { DesiredState, MachineState, Phase, Reason } from './machine.ts';
import type { Operation } from './operation.ts';

/**
 * The observed state of a machine with a provider. connected: its agent is connected, which outweighs the provider's answer; unknown: a
 * create was started and has not answered; up: it runs without its agent. The others are the provider's last answer.
 */
export type ObservedState = 'absent' | 'unknown' | 'pending' | 'up' | 'connected' | 'stopped';

export interface Rule {
  phase: Phase;
  reason: Reason;
  /** The operation for the provider. Absent: none, the machine is in its desired state. */
  operation?: Operation;
}

/** Machines with a provider (contract-machines.md, the table under "Providers"). */
export const RULES: Readonly<Record<DesiredState, Readonly<Record<ObservedState, Rule>>>> = {
  running: {
    absent: { phase: 'accepted', reason: 'create_requested', operation: 'create' },
    unknown: { phase: 'placement_pending', reason: 'create_requested', operation: 'create' },
    pending: { phase: 'starting', reason: 'waiting_for_agent', operation: 'describe' },
    up: { phase: 'starting', reason: 'waiting_for_agent', operation: 'describe' },
    connected: { phase: 'running', reason: 'agent_connected' },
    stopped: { phase: 'starting', reason: 'wake_requested', operation: 'wake' },
  },
  sleeping: {
    absent: { phase: 'sleeping', reason: 'slept' },
    unknown: { phase: 'placement_pending', reason: 'create_requested', operation: 'create' },
    pending: { phase: 'stopping', reason: 'sleep_requested', operation: 'describe' },
    up: { phase: 'stopping', reason: 'sleep_requested', operation: 'sleep' },
    connected: { phase: 'stopping', reason: 'sleep_requested', operation: 'sleep' },
    stopped: { phase: 'sleeping', reason: 'slept' },
  },
  destroyed: {
    absent: { phase: 'destroyed', reason: 'removed' },
    unknown: { phase: 'destroying', reason: 'removed', operation: 'delete' },
    pending: { phase: 'destroying', reason: 'removed', operation: 'delete' },
    up: { phase: 'destroying', reason: 'removed', operation: 'delete' },
    connected: { phase: 'destroying', reason: 'removed', operation: 'delete' },
    stopped: { phase: 'destroying', reason: 'removed', operation: 'delete' },
  },
};

/** Machines without a provider: the server cannot start or stop them, so only their agent determines their phase. */
export const UNMANAGED: Readonly<Record<MachineState['agent'], Rule>> = {
  never_joined: { phase: 'placement_pending', reason: 'never_joined' },
  connected: { phase: 'running', reason: 'agent_connected' },
  away: { phase: 'sleeping', reason: 'agent_away' },
};

/** Returns the rule that applies to a machine now. */
export function ruleOf(machine: MachineState): Rule {
  if (machine.provider === undefined) {
    return machine.desiredState === 'destroyed' ? RULES.destroyed.absent : UNMANAGED[machine.agent];
  }
  const observed = observedStateOf(machine);
  const rule = RULES[machine.desiredState][observed];
  if (machine.failedForGood && rule.operation !== undefined) return { phase: 'failed', reason: 'provider_failed' };
  if (rule.phase === 'stopping' && machine.sleepReason !== undefined) return { ...rule, reason: machine.sleepReason };
  // A sleep under way is completed before the wake that replaces it.
  if (machine.desiredState === 'running' && isHookRunning(machine, 'sleep')) return RULES.running.stopped;
  const mayResize = machine.desiredState !== 'destroyed' && observed !== 'absent';
  return rule.operation === undefined && machine.resizing && mayResize ? { ...rule, operation: 'resize' } : rule;
}

/** Whether a hook of this operation runs for the machine. */
export function isHookRunning({ operation }: MachineState, name: Operation): boolean {
  return operation?.running === true && operation.name === name;
}

function observedStateOf({ agent, providerState }: MachineState): ObservedState {
  if (agent === 'connected') return 'connected';
  return providerState === 'running' ? 'up' : providerState;
}
