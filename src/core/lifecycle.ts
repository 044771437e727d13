/** The rules of a machine's life: from what is desired and what is seen to its phase and the operation that comes next. */
import type { DesiredState, MachineState, Phase, Reason } from './machine.ts';
import type { Operation } from './operation.ts';

/**
 * What is known of a machine that a provider runs. connected: its agent is, which is believed before all else; unknown: a create
 * was begun and has not answered; up: it runs without its agent. The others are as the provider said last.
 */
export type Seen = 'absent' | 'unknown' | 'pending' | 'up' | 'connected' | 'stopped';

export interface Rule {
  phase: Phase;
  reason: Reason;
  /** What the provider is asked to do; absent: nothing, the machine is where it is wanted. */
  operation?: Operation;
}

/** Machines with a provider (contract-machines.md, the table under "Providers"). */
export const RULES: Readonly<Record<DesiredState, Readonly<Record<Seen, Rule>>>> = {
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

/** Machines without a provider: nobody here can start or stop them, so only their agent says how they are. */
export const UNMANAGED: Readonly<Record<MachineState['agent'], Rule>> = {
  never_joined: { phase: 'placement_pending', reason: 'never_joined' },
  connected: { phase: 'running', reason: 'agent_connected' },
  away: { phase: 'sleeping', reason: 'agent_away' },
};

/** The rule that holds for a machine now. */
export function ruleOf(machine: MachineState): Rule {
  if (machine.provider === undefined) {
    return machine.desiredState === 'destroyed' ? RULES.destroyed.absent : UNMANAGED[machine.agent];
  }
  const seen = seenOf(machine);
  const rule = RULES[machine.desiredState][seen];
  if (machine.failedForGood && rule.operation !== undefined) return { phase: 'failed', reason: 'provider_failed' };
  if (rule.phase === 'stopping' && machine.sleepReason !== undefined) return { ...rule, reason: machine.sleepReason };
  // A sleep under way is waited for before the wake that replaces it.
  if (machine.desiredState === 'running' && atWork(machine, 'sleep')) return RULES.running.stopped;
  const mayResize = machine.desiredState !== 'destroyed' && seen !== 'absent';
  return rule.operation === undefined && machine.resizing && mayResize ? { ...rule, operation: 'resize' } : rule;
}

/** Whether a hook of this operation is at work on the machine. */
export function atWork({ operation }: MachineState, name: Operation): boolean {
  return operation?.running === true && operation.name === name;
}

function seenOf({ agent, providerState }: MachineState): Seen {
  if (agent === 'connected') return 'connected';
  return providerState === 'running' ? 'up' : providerState;
}
