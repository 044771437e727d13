/** Join tokens: what lets a new agent in. Their use is in enrolment.ts. */
import { refusalOf } from '../transactions/retries.ts';
import { type JoinTokenRow, toJoinToken } from '../rows/join-token-row.ts';
import type { EnrolmentStore } from '../store.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './context.ts';

type Methods = Pick<EnrolmentStore, 'createJoinToken' | 'getJoinToken' | 'listJoinTokens' | 'revokeJoinToken'>;

/** A token can be used while this holds. */
const USABLE = 'revoked_at IS NULL AND expires_at > $now AND (reusable = 1 OR used_at IS NULL)';

/** The administration of join tokens. */
export function joinTokenMethods({ db, write, tx }: Context): Methods {
  const insert = db.prepare(
    `INSERT INTO join_tokens (join_token_id, token_hash, machine_id, reusable, created_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
  );
  const find = db.prepare<[string], JoinTokenRow>('SELECT * FROM join_tokens WHERE join_token_id = ?');
  const list = db.prepare<[{ now: number; after: number; limit: number }], JoinTokenRow>(
    `SELECT * FROM join_tokens WHERE join_token < $after AND ${USABLE} ORDER BY join_token DESC LIMIT $limit`,
  );
  const revoke = db.prepare<[number, string], JoinTokenRow>(
    'UPDATE join_tokens SET revoked_at = ? WHERE join_token_id = ? AND revoked_at IS NULL RETURNING *',
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
      read(() => toPage(list.iterate({ now, after, limit: limit + 1 }), limit, (row) => row.join_token, toJoinToken)),
    revokeJoinToken: ({ joinTokenId, now, actor }) =>
      write(() => {
        if (!tx.mayAct(actor, now)) return { outcome: 'actor_revoked' };
        const row = revoke.get(now, joinTokenId);
        return row === undefined ? { outcome: 'not_found' } : { outcome: 'revoked', token: toJoinToken(row) };
      }),
  };
}
