/** Join tokens, and enrolment: an agent exchanges a token for the credential of a machine. */
import { isRemoved, newMachine } from '../../core/machines/machine.ts';
import type { EnrolmentStore, EnrolOutcome, JoinTokenOutcome } from '../roles/enrolment.ts';
import type { JoinTokenRow } from '../rows/join-token-row.ts';
import { advanceMachine } from './machines.ts';
import { refusalOf } from './retries.ts';
import type { CredentialHolder, MachineAccess, MachineRecord, Transaction } from './transaction.ts';

type Request = Parameters<EnrolmentStore['enrol']>[0];

/** Creates a token, and its machine if that does not exist; or returns the refusal or the replay. */
export function createJoinToken(
  tx: Transaction,
  p: Parameters<EnrolmentStore['createJoinToken']>[0],
): JoinTokenOutcome {
  const refusal = refusalOf(tx, p);
  if (refusal !== undefined) return refusal;
  const { token, tokenHash, now } = p;
  const { machineId } = token;
  if (machineId !== undefined) {
    const existing = tx.machines.find(machineId);
    if (existing === undefined) tx.machines.insert(newMachine({ machineId, now }));
    else if (isRemoved(existing.machine)) return { outcome: 'machine_removed', machine: existing.machine };
  }
  tx.machines.keepJoinToken(token, tokenHash);
  tx.bind(p.idempotency, token.joinTokenId);
  return { outcome: 'created' };
}

/** Uses a token and gives its machine the credential, or returns the refusal. A repeated request has the same result. */
export function enrol({ machines }: Pick<Transaction, 'machines'>, request: Request): EnrolOutcome {
  const { now, credentialHash } = request;
  const token = machines.joinToken(request.tokenHash);
  if (token === undefined) return { outcome: 'token_invalid' };
  const present = machines.holderOfCredential(credentialHash);
  if (present !== undefined) return repeated(request, token, present);
  if (!usable(token, now)) return { outcome: 'token_invalid' };
  const admitted = admitMachine(machines, token.machine_public_id, request);
  if ('outcome' in admitted) return admitted;
  const { record } = admitted;
  const replacedCredential = machines.grantCredential(record, { credentialHash, token });
  if (token.used_at === null) machines.useJoinToken(token, now);
  return { outcome: 'enrolled', machine: record.machine, replacedCredential };
}

/** Returns the outcome if the credential exists already. With the same token it repeats an enrolment whose answer was lost. */
function repeated(request: Request, token: JoinTokenRow, present: CredentialHolder): EnrolOutcome {
  const { record, enrolledWith, replacedCredential } = present;
  const requestedId = request.requestedMachineId ?? record.machine.machineId;
  const isSame = enrolledWith === token.id && requestedId === record.machine.machineId;
  return isSame ? { outcome: 'enrolled', machine: record.machine, replacedCredential } : { outcome: 'machine_refused' };
}

function usable(token: JoinTokenRow, now: number): boolean {
  return token.revoked_at === null && token.expires_at > now && (token.reusable === 1 || token.used_at === null);
}

/** Returns the machine, created if it does not exist; or the refusal of its agent. `boundTo`: the machine of the token. */
function admitMachine(
  machines: MachineAccess,
  boundTo: string | null,
  request: Request,
): { record: MachineRecord } | { outcome: 'machine_refused' | 'name_taken' } {
  const { requestedMachineId, freshMachineId, name, now } = request;
  const machineId = boundTo ?? requestedMachineId ?? freshMachineId;
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
