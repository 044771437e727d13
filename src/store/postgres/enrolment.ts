/** Join tokens, and enrolment: an agent exchanges a token for a machine's credential. */
import { type JoinTokenRow, toJoinToken } from '../rows/join-token-row.ts';
import { toPage } from '../rows/page.ts';
import type { EnrolmentStore } from '../store.ts';
import { createJoinToken, enrol } from '../transactions/enrolment.ts';
import type { Context } from './context.ts';
import { REUSABLE_TOKEN_LOCK, SELECT_JOIN_TOKEN } from './statements/select-join-token.ts';
import { ifMayAct } from './writers/guarded.ts';
import { onBehalf } from './writers/needs.ts';

/** The condition under which a token is valid. */
const USABLE = 'revoked_at IS NULL AND expires_at > $3 AND (reusable OR used_at IS NULL)';

/** The EnrolmentStore of PostgreSQL. */
export function enrolmentMethods({ read, transactions, writers }: Context): EnrolmentStore {
  return {
    createJoinToken: (p) => {
      const { joinTokenId, machineId } = p.token;
      const named = machineId === undefined ? {} : { machines: [machineId], creates: 'machine' as const };
      return writers.write(machineId ?? '', {
        needs: { ...named, ...onBehalf(p, joinTokenId) },
        run: (tx) => createJoinToken(tx, p),
      });
    },
    async getJoinToken({ joinTokenId }) {
      const [row] = await read<JoinTokenRow>({
        text: `${SELECT_JOIN_TOKEN} WHERE public_id = $1`,
        values: [joinTokenId],
      });
      return row && toJoinToken(row);
    },
    async listJoinTokens({ now, limit, after = Number.MAX_SAFE_INTEGER }) {
      const text = `${SELECT_JOIN_TOKEN} WHERE id < $1 AND ${USABLE} ORDER BY id DESC LIMIT $2`;
      const rows = await read<JoinTokenRow>({ text, values: [after, limit + 1, now] });
      return toPage(rows, limit, (row) => row.id, toJoinToken);
    },
    revokeJoinToken: ({ joinTokenId, now, actor }) =>
      transactions.run((connection) =>
        ifMayAct(connection, { now, ...(actor && { actor }) }, async () => {
          const values = [joinTokenId];
          // Waits for the enrolments with it that are under way.
          const lock = `SELECT pg_advisory_xact_lock(${REUSABLE_TOKEN_LOCK}) FROM join_tokens WHERE public_id = $1`;
          const select = `${SELECT_JOIN_TOKEN} WHERE public_id = $1 AND revoked_at IS NULL FOR UPDATE`;
          const [, [row]] = await Promise.all([
            connection.run({ text: lock, values }),
            connection.query<JoinTokenRow>({ text: select, values }),
          ]);
          if (row === undefined) return { outcome: 'not_found' } as const;
          const text = 'UPDATE join_tokens SET revoked_at = $1 WHERE id = $2';
          await connection.run({ text, values: [now, row.id] });
          return { outcome: 'revoked', token: toJoinToken(row) } as const;
        }),
      ),
    // Many agents may enrol at the same time, with one token: they share transactions.
    enrol: (request) => {
      const { tokenHash, credentialHash, requestedMachineId, freshMachineId, name } = request;
      const machineId = requestedMachineId ?? freshMachineId;
      return writers.write(machineId, {
        needs: { machines: [machineId], enrolment: { tokenHash, credentialHash }, creates: 'machine', name },
        run: (tx) => enrol(tx, request),
      });
    },
  };
}
