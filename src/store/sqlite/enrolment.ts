/** Enrolment: a join token is turned into a machine's credential, once. */
import type { EnrolOutcome, Store } from '../store.ts';
import type { Context } from './context.ts';
import type { JoinTokenRow } from '../rows/join-token-row.ts';
import type { MachineWithOperation } from '../rows/machine-row.ts';
import { SELECT_MACHINE } from './tables/select-machine.ts';
import { advanceMachine } from '../transactions/machines.ts';
import { recordOf, type StoredMachine } from './tables/machine-table.ts';
import { newMachine } from '../../core/machine.ts';

type Request = Parameters<Store['enrol']>[0];

/** What agents do before they have a credential. */
export function enrolmentMethods({ db, write, machines }: Context): Pick<Store, 'enrol'> {
  const findToken = db.prepare<[Buffer], JoinTokenRow>('SELECT * FROM join_tokens WHERE token_hash = ?');
  const useToken = db.prepare('UPDATE join_tokens SET used_at = coalesce(used_at, ?) WHERE join_token = ?');
  const holder = db.prepare<[Buffer], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.credential_hash = ?`);
  const setCredential = db.prepare(
    `UPDATE machines SET credential_replaced = (credential_hash IS NOT NULL), credential_hash = ?, enrolled_with = ?
     WHERE machine = ?`,
  );

  function enrol(request: Request): EnrolOutcome {
    const token = findToken.get(request.tokenHash);
    if (token === undefined) return { outcome: 'token_invalid' };
    const present = holder.get(request.credentialHash);
    if (present !== undefined) return repeated(request, token, recordOf(present));
    if (!usable(token, request.now)) return { outcome: 'token_invalid' };
    const machineId = token.machine_id ?? request.requestedMachineId ?? request.freshMachineId;
    if (request.requestedMachineId !== undefined && request.requestedMachineId !== machineId) {
      return { outcome: 'machine_refused' };
    }
    const existing = machines.find(machineId);
    if (existing !== undefined && token.machine_id === null) return { outcome: 'machine_refused' };
    const record = existing ?? machines.insert(newMachine({ machineId, now: request.now }));
    if (record === undefined || !advanceMachine(machines, record, { type: 'enrolled' }, { now: request.now }).ok) {
      return { outcome: 'machine_refused' };
    }
    const replacedCredential = record.row.credential_hash !== null;
    setCredential.run(request.credentialHash, token.join_token, record.key);
    useToken.run(request.now, token.join_token);
    return { outcome: 'enrolled', machine: record.machine, replacedCredential };
  }

  return { enrol: (request) => write(() => enrol(request)) };
}

/** The credential is in use: by the same token it is the same enrolment again, whose answer was lost. */
function repeated(request: Request, token: JoinTokenRow, { machine, row }: StoredMachine): EnrolOutcome {
  const same = row.enrolled_with === token.join_token;
  const asked = request.requestedMachineId ?? machine.machineId;
  if (!same || asked !== machine.machineId) return { outcome: 'machine_refused' };
  return { outcome: 'enrolled', machine, replacedCredential: row.credential_replaced === 1 };
}

function usable(token: JoinTokenRow, now: number): boolean {
  return token.revoked_at === null && token.expires_at > now && (token.reusable === 1 || token.used_at === null);
}
