/** Join tokens, and enrolment: an agent exchanges a token for a machine's credential. */
import { type JoinTokenRow, toJoinToken } from '../rows/join-token-row.ts';
import { toPage } from '../rows/page.ts';
import type { EnrolmentStore, EnrolOutcome } from '../store.ts';
import { admitMachine, machineIdOf } from '../transactions/enrolment.ts';
import { Batch } from './writers/batch.ts';
import type { TouchedMachine } from './writers/batch-machines.ts';
import type { Connection } from './connections/connection.ts';
import type { Context } from './context.ts';
import { flushStatements } from './writers/flush.ts';
import { guarded, ifMayAct } from './writers/guarded.ts';
import { load } from './writers/load.ts';

type Request = Parameters<EnrolmentStore['enrol']>[0];

const SELECT = `SELECT id, public_id, machine_public_id, reusable::int AS reusable,
  created_at, expires_at, used_at, revoked_at FROM join_tokens`;
/** The condition under which a token is valid. */
const USABLE = 'revoked_at IS NULL AND expires_at > $3 AND (reusable OR used_at IS NULL)';
const INSERT = `INSERT INTO join_tokens (public_id, token_hash, machine_public_id, reusable, created_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6)`;

/** The EnrolmentStore of PostgreSQL. */
export function enrolmentMethods({ read, transactions }: Context): EnrolmentStore {
  return {
    createJoinToken: (p) =>
      transactions.run((connection) =>
        guarded(connection, { ...p, resource: p.token.joinTokenId }, async () => {
          const { joinTokenId, machineId, reusable, createdAt, expiresAt } = p.token;
          const values = [joinTokenId, p.tokenHash, machineId, reusable, createdAt, expiresAt];
          await connection.run({ text: INSERT, values });
          return { outcome: 'created' } as const;
        }),
      ),
    async getJoinToken({ joinTokenId }) {
      const [row] = await read<JoinTokenRow>({ text: `${SELECT} WHERE public_id = $1`, values: [joinTokenId] });
      return row && toJoinToken(row);
    },
    async listJoinTokens({ now, limit, after = Number.MAX_SAFE_INTEGER }) {
      const text = `${SELECT} WHERE id < $1 AND ${USABLE} ORDER BY id DESC LIMIT $2`;
      const rows = await read<JoinTokenRow>({ text, values: [after, limit + 1, now] });
      return toPage(rows, limit, (row) => row.id, toJoinToken);
    },
    revokeJoinToken: ({ joinTokenId, now, actor }) =>
      transactions.run((connection) =>
        ifMayAct(connection, { now, ...(actor && { actor }) }, async () => {
          const lock = 'WHERE public_id = $1 AND revoked_at IS NULL FOR UPDATE';
          const [row] = await connection.query<JoinTokenRow>({ text: `${SELECT} ${lock}`, values: [joinTokenId] });
          if (row === undefined) return { outcome: 'not_found' } as const;
          const text = 'UPDATE join_tokens SET revoked_at = $1 WHERE id = $2';
          await connection.run({ text, values: [now, row.id] });
          return { outcome: 'revoked', token: toJoinToken(row) } as const;
        }),
      ),
    enrol: (request) => transactions.run((connection) => enrol(connection, request)),
  };
}

/** Enrols an agent. The token's row is locked: of two agents with the same token, one waits here for the other. */
async function enrol(connection: Connection, request: Request): Promise<EnrolOutcome> {
  const { now, name, credentialHash } = request;
  const text = `${SELECT} WHERE token_hash = $1 FOR UPDATE`;
  const [token] = await connection.query<JoinTokenRow>({ text, values: [request.tokenHash] });
  if (token === undefined) return { outcome: 'token_invalid' };
  const holder = 'SELECT public_id AS machine FROM machines WHERE credential_hash = $1';
  const [present] = await connection.query<{ machine: string }>({ text: holder, values: [credentialHash] });
  const machineId = machineIdOf(token.machine_public_id, request);
  const machineIds = present === undefined ? [machineId] : [present.machine];
  const batch = new Batch(await load(connection, [{ machines: machineIds, creates: 'machine', name }]));
  if (present !== undefined) return repeated(request, token, batch.machines.touched.get(present.machine));
  if (!usable(token, now)) return { outcome: 'token_invalid' };
  const admitted = admitMachine(batch.machines, token.machine_public_id, request);
  if ('outcome' in admitted) return admitted;
  const { record } = admitted;
  const before = batch.machines.touched.get(machineId)?.row?.credential_hash ?? null;
  await Promise.all(flushStatements(batch).map((statement) => connection.run(statement)));
  await grant(connection, { key: record.key, token, credentialHash, now });
  return { outcome: 'enrolled', machine: record.machine, replacedCredential: before !== null };
}

async function grant(
  connection: Connection,
  p: { key: number; token: JoinTokenRow; credentialHash: Buffer; now: number },
): Promise<void> {
  await Promise.all([
    connection.run({
      text: `UPDATE machines SET credential_replaced = (credential_hash IS NOT NULL), credential_hash = $1, enrolled_with = $2
        WHERE id = $3`,
      values: [p.credentialHash, p.token.id, p.key],
    }),
    connection.run({
      text: 'UPDATE join_tokens SET used_at = coalesce(used_at, $1) WHERE id = $2',
      values: [p.now, p.token.id],
    }),
  ]);
}

/** Returns the outcome if the credential exists already. With the same token it repeats an enrolment whose answer was lost. */
function repeated(request: Request, token: JoinTokenRow, present: TouchedMachine | undefined): EnrolOutcome {
  const { record, row } = present ?? {};
  if (record === undefined || row?.enrolled_with !== token.id) return { outcome: 'machine_refused' };
  const { machine } = record;
  const requestedId = request.requestedMachineId ?? machine.machineId;
  if (requestedId !== machine.machineId) return { outcome: 'machine_refused' };
  return { outcome: 'enrolled', machine, replacedCredential: row.credential_replaced === 1 };
}

function usable(token: JoinTokenRow, now: number): boolean {
  return token.revoked_at === null && token.expires_at > now && (token.reusable === 1 || token.used_at === null);
}
