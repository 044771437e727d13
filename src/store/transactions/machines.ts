/** Use cases of machines: connecting them, changing them on request, and the operations of their providers. */
import { sameLabels } from '../../core/machines/labels.ts';
import { keepsAwake } from '../../core/decisions/execution-draft.ts';
import { decideMachineChange, isWokenByUse } from '../../core/decisions/machine-change.ts';
import {
  type Machine,
  type MachineEvent,
  type MachineTransition,
  newMachine,
  transitionMachine,
} from '../../core/machines/machine.ts';
import type { ExecutionStore } from '../roles/executions.ts';
import type { LifecycleStore, MachineChangeOutcome } from '../roles/lifecycle.ts';
import type { ConnectionStore } from '../roles/machines.ts';
import { advanceAll } from './dispatch.ts';
import { refusalOf } from './retries.ts';
import type { MachineAccess, MachineRecord, Transaction } from './transaction.ts';

type Request<Method extends keyof LifecycleStore> = Parameters<LifecycleStore[Method]>[0];
type Answer<Method extends keyof LifecycleStore> = Awaited<ReturnType<LifecycleStore[Method]>>;

/** Applies `event` through `transitionMachine`, with `changes` to the rest of the machine, and writes the consequences. */
export function advanceMachine(
  machines: MachineAccess,
  record: MachineRecord,
  event: MachineEvent,
  p: { now: number; changes?: Partial<Machine> },
): MachineTransition<Machine> {
  const step = transitionMachine({ ...record.machine, ...p.changes }, event, p.now);
  if (!step.ok) return step;
  record.machine = step.next;
  machines.save(record);
  return step;
}

/** Gives a machine a new connection with the next epoch. */
export function machineConnected(
  tx: Transaction,
  p: Parameters<ConnectionStore['machineConnected']>[0],
): Awaited<ReturnType<ConnectionStore['machineConnected']>> {
  const { machines } = tx;
  const record = machines.find(p.machineId);
  if (record === undefined) return { outcome: 'removed' };
  const { runnerInstance, bootId, facts, host, labels: agentLabels = {}, credentialHash, now } = p;
  if (credentialHash !== undefined && machines.holderOfCredential(credentialHash)?.record.key !== record.key) {
    return { outcome: 'credential_invalid' };
  }
  const isSameInstance = record.machine.runnerInstance === runnerInstance;
  const relabelled = !sameLabels(agentLabels, record.machine.agentLabels);
  // The size of a machine with a provider is the requested one.
  const size = record.machine.provider === undefined ? { facts } : {};
  const changes = { runnerInstance, bootId, agentLabels, ...(host === undefined ? {} : { host }), ...size };
  const step = advanceMachine(machines, record, { type: 'agent_connected' }, { now, changes });
  if (!step.ok) return { outcome: step.refusal === 'stopping' ? 'stopping' : 'removed' };
  if (relabelled) machines.saveLabels(record);
  const hasWaiting = (tx.queue(p.machineId)?.waiting ?? 0) > 0;
  return { outcome: 'applied', machine: step.next, epoch: step.next.epoch, isSameInstance, hasWaiting };
}

/** Wakes the machine of an execution if it was put to sleep. One that is still running keeps running. */
export function wakeByUse(
  { machines }: Transaction,
  { execution, capabilities, now }: Parameters<ExecutionStore['createExecution']>[0],
): boolean {
  if (capabilities === undefined) return false;
  const record = machines.find(execution.machineId);
  if (record === undefined || !isWokenByUse(record.machine, capabilities)) return false;
  return advanceMachine(machines, record, { type: 'desired', state: 'running' }, { now }).ok;
}

/** Creates a machine for its provider or for an agent, or returns the refusal or the replay. */
export function placeMachine(tx: Transaction, p: Request<'placeMachine'>): Answer<'placeMachine'> {
  const refusal = refusalOf(tx, p);
  if (refusal !== undefined) return refusal;
  const { machine, maxMachines = Number.POSITIVE_INFINITY, now } = p;
  if (machine.provider !== undefined && tx.machines.countOf(machine.provider) >= maxMachines) {
    return { outcome: 'provider_full' };
  }
  if (tx.machines.find(machine.machineId) !== undefined) return { outcome: 'exists' };
  if (machine.name !== undefined && tx.machines.holderOf(machine.name) !== undefined) return { outcome: 'name_taken' };
  const record = tx.machines.insert(newMachine({ ...machine, now }));
  if (record === undefined) return { outcome: 'exists' };
  if (machine.labels !== undefined) tx.machines.saveLabels(record);
  tx.bind(p.idempotency, machine.machineId);
  return { outcome: 'created', machine: record.machine };
}

/** Changes, wakes, puts to sleep or removes a machine, or returns the refusal or the replay. */
export function changeMachine(tx: Transaction, p: Request<'changeMachine'>): MachineChangeOutcome {
  const refusal = refusalOf(tx, p);
  if (refusal !== undefined) return refusal;
  const { machineId, request, now } = p;
  const record = tx.machines.find(machineId);
  if (record === undefined) return { outcome: 'not_found' };
  const awake = request.type === 'sleep' ? tx.unfinished(record.key).filter((other) => keepsAwake(other, now)) : [];
  const activeExecutions = awake.length;
  const name = request.type === 'configure' ? request.name : undefined;
  const holder = name === undefined ? undefined : tx.machines.holderOf(name);
  const nameTaken = holder !== undefined && holder !== record.key;
  const decided = decideMachineChange(record.machine, request, { ...p, activeExecutions, nameTaken });
  if (decided.outcome === 'refused') {
    return { outcome: 'refused', refusal: decided.refusal, machine: record.machine, activeExecutions };
  }
  tx.bind(p.idempotency, machineId);
  if (decided.outcome === 'unchanged') return { outcome: 'unchanged', machine: record.machine };
  const step = advanceMachine(tx.machines, record, decided.event, { now, changes: decided.changes });
  if (!step.ok) return { outcome: 'unchanged', machine: record.machine };
  if (request.type === 'configure' && request.labels !== undefined) tx.machines.saveLabels(record);
  if (request.type !== 'remove') return { outcome: 'changed', machine: step.next, ended: [] };
  tx.machines.dropCredentials(record, now);
  const ended = advanceAll(tx, tx.unfinished(record.key), { type: 'machine_removed' }, now);
  return { outcome: 'changed', machine: step.next, ended };
}

/** Records that the hook of an operation starts. */
export function beginOperation(tx: Transaction, p: Request<'beginOperation'>): Answer<'beginOperation'> {
  const record = tx.machines.find(p.machineId);
  const event = { type: 'operation_begun', number: p.number } as const;
  const step = record && advanceMachine(tx.machines, record, event, p);
  if (step?.ok !== true) return { outcome: 'stale' };
  if (p.joinToken !== undefined) tx.machines.keepJoinToken(p.joinToken.token, p.joinToken.tokenHash);
  return { outcome: 'begun', machine: step.next };
}

/** Records the result of a hook, and ends the executions that it concerns. */
export function endOperation(tx: Transaction, p: Request<'endOperation'>): Answer<'endOperation'> {
  const { result, now } = p;
  const record = tx.machines.find(p.machineId);
  if (record === undefined) return { outcome: 'stale' };
  const changes = result.providerRef === undefined ? {} : { providerRef: result.providerRef };
  const step = advanceMachine(tx.machines, record, result, { now, changes });
  if (!step.ok) return { outcome: 'stale' };
  const { phase, desiredState, lastError = 'its provider failed' } = step.next;
  const hopeless = phase === 'failed' && desiredState === 'running';
  const reason = `The machine could not be started: ${lastError}`;
  const ended = hopeless ? advanceAll(tx, tx.unfinished(record.key), { type: 'wake_failed', reason }, now) : [];
  return { outcome: 'applied', machine: step.next, ended };
}
