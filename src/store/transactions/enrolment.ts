/** Decides which machine a join token is for. */
import { newMachine } from '../../core/machines/machine.ts';
import type { EnrolmentStore } from '../roles/enrolment.ts';
import { advanceMachine } from './machines.ts';
import type { MachineAccess, MachineRecord } from './transaction.ts';

type Request = Pick<Parameters<EnrolmentStore['enrol']>[0], 'requestedMachineId' | 'freshMachineId' | 'name' | 'now'>;

/** Returns the id of the machine that an agent with a token enrols as; it may not exist yet. `boundTo`: the machine of the token. */
export function machineIdOf(boundTo: string | null, { requestedMachineId, freshMachineId }: Request): string {
  return boundTo ?? requestedMachineId ?? freshMachineId;
}

/** Returns the machine, created if it does not exist; or the refusal of its agent. */
export function admitMachine(
  machines: MachineAccess,
  boundTo: string | null,
  request: Request,
): { record: MachineRecord } | { outcome: 'machine_refused' | 'name_taken' } {
  const { requestedMachineId, name, now } = request;
  const machineId = machineIdOf(boundTo, request);
  const existing = machines.find(machineId);
  const isAnother = requestedMachineId !== undefined && requestedMachineId !== machineId;
  if (isAnother || (existing !== undefined && boundTo === null)) return { outcome: 'machine_refused' };
  const holder = name === undefined ? undefined : machines.holderOf(name);
  if (holder !== undefined && holder !== existing?.key) return { outcome: 'name_taken' };
  const named = name === undefined ? {} : { name };
  const record = existing ?? machines.insert(newMachine({ machineId, now, ...named }));
  if (record === undefined) return { outcome: 'machine_refused' };
  const step = advanceMachine(machines, record, { type: 'enrolled' }, { now, changes: named });
  return step.ok ? { record } : { outcome: 'machine_refused' };
}
