/** Join tokens, and enrolment: an agent exchanges a token for a machine's credential. */
import type { EnrolmentStore } from '../store.ts';
import { type Context, read } from './tables/context.ts';
import { type JoinTokenRow, toJoinToken } from '../rows/join-token-row.ts';
import { createJoinToken, enrol } from '../transactions/enrolment.ts';
import { toPage } from '../rows/page.ts';

/** The condition under which a token is valid. */
const USABLE = 'revoked_at IS NULL AND expires_at > $now AND (reusable = 1 OR used_at IS NULL)';

/** The EnrolmentStore of SQLite. */
export function enrolmentMethods({ db, write, tx }: Context): EnrolmentStore {
  const find = db.prepare<[string], JoinTokenRow>('SELECT * FROM join_tokens WHERE public_id = ?');
  const list = db.prepare<[{ now: number; after: number; limit: number }], JoinTokenRow>(
    `SELECT * FROM join_tokens WHERE id < $after AND ${USABLE} ORDER BY id DESC LIMIT $limit`,
  );
  const revoke = db.prepare<[number, string], JoinTokenRow>(
    'UPDATE join_tokens SET revoked_at = ? WHERE public_id = ? AND revoked_at IS NULL RETURNING *',
  );
  return {
    createJoinToken: (p) => write(() => createJoinToken(tx, p)),
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
    enrol: (request) => write(() => enrol(tx, request)),
  };
}
