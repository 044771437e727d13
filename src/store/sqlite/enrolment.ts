/** Join tokens, and enrolment: an agent exchanges a token for a machine's credential. */
import type { EnrolOutcome, EnrolmentStore, Store } from '../store.ts';
import { type Context, read } from './tables/context.ts';
import { type JoinTokenRow, toJoinToken } from '../rows/join-token-row.ts';
import type { MachineWithOperation } from '../rows/machine-row.ts';
import { SELECT_MACHINE } from './tables/select-machine.ts';
import { admitMachine } from '../transactions/enrolment.ts';
import { type StoredMachine, recordOf } from './tables/machine-table.ts';
import { refusalOf } from '../transactions/retries.ts';
import { toPage } from '../rows/page.ts';

type Methods = Pick<EnrolmentStore, 'createJoinToken' | 'getJoinToken' | 'listJoinTokens' | 'revokeJoinToken'>;

/** The condition under which a token is valid. */
const USABLE = 'revoked_at IS NULL AND expires_at > $now AND (reusable = 1 OR used_at IS NULL)';

/** The administration of join tokens. */
export function joinTokenMethods({ db, write, tx }: Context): Methods {
  const insert = db.prepare(
    `INSERT INTO join_tokens (public_id, token_hash, machine_public_id, reusable, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
  );
  const find = db.prepare<[string], JoinTokenRow>('SELECT * FROM join_tokens WHERE public_id = ?');
  const list = db.prepare<[{ now: number; after: number; limit: number }], JoinTokenRow>(
    `SELECT * FROM join_tokens WHERE id < $after AND ${USABLE} ORDER BY id DESC LIMIT $limit`,
  );
  const revoke = db.prepare<[number, string], JoinTokenRow>(
    'UPDATE join_tokens SET revoked_at = ? WHERE public_id = ? AND revoked_at IS NULL RETURNING *',
  );
  return {
    createJoinToken: (p) =>
      write(() => {
        const refusal = refusalOf(tx, p);
        if (refusal !== undefined) return refusal;
        const { token, tokenHash } = p;
        const { joinTokenId, machineId, reusable, createdAt, expiresAt } = token;
        insert.run(joinTokenId, tokenHash, machineId ?? null, reusable ? 1 : 0, createdAt, expiresAt);
        tx.bind(p.idempotency, joinTokenId);
        return { outcome: 'created' };
      }),
    getJoinToken: ({ joinTokenId }) =>
      read(() => {
        const row = find.get(joinTokenId);
        return row && toJoinToken(row);
      }),
    listJoinTokens: ({ now, limit, after = Number.MAX_SAFE_INTEGER }) =>
      read(() => toPage(list.iterate({ now, after, limit: limit + 1 }), limit, (row) => row.id, toJoinToken)),
    revokeJoinToken: ({ joinTokenId, now, actor }) =>
      write(() => {
        if (!tx.mayAct(actor, now)) return { outcome: 'actor_revoked' };
        const row = revoke.get(now, joinTokenId);
        return row === undefined ? { outcome: 'not_found' } : { outcome: 'revoked', token: toJoinToken(row) };
      }),
  };
}

type Request = Parameters<Store['enrol']>[0];

/** Enrolment and authentication of agents. */
export function enrolmentMethods({ db, write, machines }: Context): Pick<Store, 'enrol'> {
  const findToken = db.prepare<[Buffer], JoinTokenRow>('SELECT * FROM join_tokens WHERE token_hash = ?');
  const useToken = db.prepare('UPDATE join_tokens SET used_at = coalesce(used_at, ?) WHERE id = ?');
  const holder = db.prepare<[Buffer], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.credential_hash = ?`);
  const credential = db.prepare<[number], Buffer | null>('SELECT credential_hash FROM machines WHERE id = ?').pluck();
  const setCredential = db.prepare(
    `UPDATE machines SET credential_replaced = (credential_hash IS NOT NULL), credential_hash = ?, enrolled_with = ?
     WHERE id = ?`,
  );

  function enrol(request: Request): EnrolOutcome {
    const token = findToken.get(request.tokenHash);
    if (token === undefined) return { outcome: 'token_invalid' };
    const present = holder.get(request.credentialHash);
    if (present !== undefined) return repeated(request, token, recordOf(present));
    if (!usable(token, request.now)) return { outcome: 'token_invalid' };
    const admitted = admitMachine(machines, token.machine_public_id, request);
    if ('outcome' in admitted) return admitted;
    const { record } = admitted;
    const replacedCredential = credential.get(record.key) !== null;
    setCredential.run(request.credentialHash, token.id, record.key);
    useToken.run(request.now, token.id);
    return { outcome: 'enrolled', machine: record.machine, replacedCredential };
  }

  return { enrol: (request) => write(() => enrol(request)) };
}

/** Returns the outcome if the credential exists already. With the same token it repeats an enrolment whose answer was lost. */
function repeated(request: Request, token: JoinTokenRow, { machine, row }: StoredMachine): EnrolOutcome {
  const same = row.enrolled_with === token.id;
  const requestedId = request.requestedMachineId ?? machine.machineId;
  if (!same || requestedId !== machine.machineId) return { outcome: 'machine_refused' };
  return { outcome: 'enrolled', machine, replacedCredential: row.credential_replaced === 1 };
}

function usable(token: JoinTokenRow, now: number): boolean {
  return token.revoked_at === null && token.expires_at > now && (token.reusable === 1 || token.used_at === null);
}
