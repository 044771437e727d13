/** Enrolment: a join token is turned into a machine's credential, once. */
import type { EnrolOutcome, Store } from '../store.ts';
import type { Context } from './context.ts';
import type { JoinTokenRow } from './join-tokens.ts';
import { type MachineRow, toMachine } from './machine-row.ts';

type Request = Parameters<Store['enrol']>[0];

/** What agents do before they have a credential. */
export function enrolmentMethods({ db, write }: Context): Pick<Store, 'enrol'> {
  const findToken = db.prepare<[Buffer], JoinTokenRow>('SELECT * FROM join_tokens WHERE token_hash = ?');
  const useToken = db.prepare('UPDATE join_tokens SET used_at = coalesce(used_at, ?) WHERE join_token = ?');
  const findMachine = db.prepare<[string], MachineRow>('SELECT * FROM machines WHERE machine_id = ?');
  const holder = db.prepare<[Buffer], MachineRow>('SELECT * FROM machines WHERE credential_hash = ?');
  const insert = db.prepare<[Record<string, unknown>], MachineRow>(
    `INSERT INTO machines (machine_id, created_at, phase, last_transition_at, last_progress_at, credential_hash, enrolled_with)
     VALUES ($machineId, $now, 'placement_pending', $now, $now, $credential, $token) RETURNING *`,
  );
  const replace = db.prepare<[Record<string, unknown>], MachineRow>(
    `UPDATE machines SET credential_replaced = (credential_hash IS NOT NULL), credential_hash = $credential,
       enrolled_with = $token WHERE machine = $machine RETURNING *`,
  );

  function enrol(request: Request): EnrolOutcome {
    const token = findToken.get(request.tokenHash);
    if (token === undefined) return { outcome: 'token_invalid' };
    const present = holder.get(request.credentialHash);
    if (present !== undefined) return repeated(request, token, present);
    if (!usable(token, request.now)) return { outcome: 'token_invalid' };
    const machineId = token.machine_id ?? request.requestedMachineId ?? request.freshMachineId;
    if (request.requestedMachineId !== undefined && request.requestedMachineId !== machineId) {
      return { outcome: 'machine_refused' };
    }
    const existing = findMachine.get(machineId);
    if (existing !== undefined && (token.machine_id === null || existing.phase === 'destroyed')) {
      return { outcome: 'machine_refused' };
    }
    const granted = { credential: request.credentialHash, token: token.join_token };
    const row =
      existing === undefined
        ? insert.get({ machineId, now: request.now, ...granted })
        : replace.get({ machine: existing.machine, ...granted });
    useToken.run(request.now, token.join_token);
    return answer(row);
  }

  return { enrol: (request) => write(() => enrol(request)) };
}

/** The credential is in use: by the same token it is the same enrolment again, whose answer was lost. */
function repeated(request: Request, token: JoinTokenRow, present: MachineRow): EnrolOutcome {
  const same = present.enrolled_with === token.join_token;
  const asked = request.requestedMachineId ?? present.machine_id;
  return same && asked === present.machine_id ? answer(present) : { outcome: 'machine_refused' };
}

function usable(token: JoinTokenRow, now: number): boolean {
  return token.revoked_at === null && token.expires_at > now && (token.reusable === 1 || token.used_at === null);
}

function answer(row: MachineRow | undefined): EnrolOutcome {
  if (row === undefined) throw new Error('the enrolled machine was not written');
  return { outcome: 'enrolled', machine: toMachine(row), replacedCredential: row.credential_replaced === 1 };
}
