/** Decides on a caller's request to change a machine: an event for its transition, nothing, or a named refusal. */
import { type Labels, sameLabels } from '../machines/labels.ts';
import type { Machine, MachineEvent } from '../machines/machine.ts';
import { isRemoved } from '../machines/machine.ts';
import type { Operation } from '../machines/operation.ts';
import type { MachineFacts } from '../machines/machine-facts.ts';

/** The capabilities of this server's providers, by name. */
export type Capabilities = ReadonlyMap<string, ReadonlySet<Operation>>;

export type MachineRequest =
  | { type: 'run' }
  | { type: 'sleep'; sleepReason?: 'autosleep' }
  /** `force`: the machine is removed without its provider, whose resources are left behind. */
  | { type: 'remove'; force: boolean }
  | ({ type: 'configure' } & MachineSettings);

/** Absent fields stay unchanged. */
export interface MachineSettings {
  name?: string;
  facts?: Partial<MachineFacts>;
  autosleepSeconds?: number;
  attributes?: Readonly<Record<string, string>>;
  labels?: Labels;
}

/** Facts that a decision needs besides the machine, read in the same transaction. */
export interface ChangeContext {
  /** The revision that the caller has seen. Absent: any. */
  expectedRevision?: number | undefined;
  /** Number of executions that wait or run on the machine. */
  activeExecutions: number;
  /** Whether another machine has the requested name. */
  nameTaken?: boolean;
  capabilities: Capabilities;
}

export const MACHINE_CHANGE_REFUSALS = [
  /** The machine has another revision than the caller has seen. */
  'revision_mismatch',
  /** It is removed, or being removed. */
  'destroyed',
  /** It has no provider, and this request needs one. */
  'no_provider',
  /** Its provider cannot do that. */
  'not_supported',
  /** An execution waits or runs on the machine. */
  'active',
  /** Storage can only grow. */
  'storage_below_present',
  /** Another machine has the name. */
  'name_taken',
] as const;
export type MachineChangeRefusal = (typeof MACHINE_CHANGE_REFUSALS)[number];

export type MachineChange =
  | { outcome: 'change'; event: MachineEvent; changes: Partial<Machine> }
  /** The machine has the requested state already. */
  | { outcome: 'unchanged' }
  | { outcome: 'refused'; refusal: MachineChangeRefusal };

/** Decides on a request. Pure and total. */
export function decideMachineChange(machine: Machine, request: MachineRequest, context: ChangeContext): MachineChange {
  const { expectedRevision } = context;
  if (expectedRevision !== undefined && expectedRevision !== machine.revision) return refused('revision_mismatch');
  if (request.type === 'remove') return removal(machine, request.force, context);
  if (isRemoved(machine)) return refused('destroyed');
  switch (request.type) {
    case 'run':
      return running(machine, context);
    case 'sleep':
      return sleeping(machine, request.sleepReason, context);
    case 'configure':
      return configured(machine, request, context);
  }
}

/** Whether using a machine wakes it: it was put to sleep, or failed, and its provider can wake or create it. */
export function isWokenByUse(machine: Machine, capabilities: Capabilities): boolean {
  return decideMachineChange(machine, { type: 'run' }, { activeExecutions: 0, capabilities }).outcome === 'change';
}

function removal(machine: Machine, force: boolean, { capabilities }: ChangeContext): MachineChange {
  if (machine.phase === 'destroyed') return { outcome: 'unchanged' };
  if (force && machine.provider !== undefined) return change({ type: 'forgotten' });
  if (isRemoved(machine) && !machine.failedForGood) return { outcome: 'unchanged' };
  const existsAtProvider = machine.provider !== undefined && machine.providerState !== 'absent';
  if (existsAtProvider && !can(machine, 'delete', capabilities)) return refused('not_supported');
  return change({ type: 'desired', state: 'destroyed' });
}

/** A machine without a provider always has the desired state running: executions wait for it. */
function running(machine: Machine, { capabilities }: ChangeContext): MachineChange {
  if (machine.desiredState === 'running' && !machine.failedForGood) return { outcome: 'unchanged' };
  if (machine.providerState === 'stopped' && !can(machine, 'wake', capabilities)) return refused('not_supported');
  return change({ type: 'desired', state: 'running' });
}

function sleeping(machine: Machine, sleepReason: 'autosleep' | undefined, context: ChangeContext): MachineChange {
  if (machine.provider === undefined) return refused('no_provider');
  if (machine.desiredState === 'sleeping' && !machine.failedForGood) return { outcome: 'unchanged' };
  if (!can(machine, 'sleep', context.capabilities)) return refused('not_supported');
  if (context.activeExecutions > 0) return refused('active');
  return change({ type: 'desired', state: 'sleeping', ...(sleepReason === undefined ? {} : { sleepReason }) });
}

function configured(
  machine: Machine,
  settings: MachineSettings,
  { capabilities, nameTaken = false }: ChangeContext,
): MachineChange {
  if (nameTaken) return refused('name_taken');
  const facts = { ...machine.facts, ...settings.facts };
  if (facts.storage_gib < machine.facts.storage_gib) return refused('storage_below_present');
  const resize =
    facts.vcpu !== machine.facts.vcpu ||
    facts.memory_mib !== machine.facts.memory_mib ||
    facts.storage_gib !== machine.facts.storage_gib;
  const { autosleepSeconds = machine.autosleepSeconds, attributes = machine.attributes } = settings;
  const { labels = machine.ownLabels, name = machine.name } = settings;
  const same =
    name === machine.name &&
    autosleepSeconds === machine.autosleepSeconds &&
    sameLabels(attributes, machine.attributes) &&
    sameLabels(labels, machine.ownLabels);
  if (!resize && same) return { outcome: 'unchanged' };
  if (resize && machine.provider === undefined) return refused('no_provider');
  if (resize && !can(machine, 'resize', capabilities)) return refused('not_supported');
  const changes = {
    facts,
    autosleepSeconds,
    ...(name === undefined ? {} : { name }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(labels === undefined ? {} : { ownLabels: labels }),
  };
  return change({ type: 'changed', resize }, changes);
}

function can({ provider }: Machine, operation: Operation, capabilities: Capabilities): boolean {
  return provider !== undefined && capabilities.get(provider)?.has(operation) === true;
}

function change(event: MachineEvent, changes: Partial<Machine> = {}): MachineChange {
  return { outcome: 'change', event, changes };
}

function refused(refusal: MachineChangeRefusal): MachineChange {
  return { outcome: 'refused', refusal };
}
