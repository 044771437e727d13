/** Locks and reads the machines of a batch, and what decides about new ones: their names, providers and join tokens. */
import type { JoinTokenRow } from '../../rows/join-token-row.ts';
import type { Connection } from '../connections/connection.ts';
import { REUSABLE_TOKEN_LOCK, SELECT_JOIN_TOKEN } from '../statements/select-join-token.ts';
import { type MachineRow, SELECT_MACHINE } from '../statements/select-machine.ts';
import type { Needs } from './needs.ts';

type TokenRow = JoinTokenRow & { token_hash: Buffer };

const LOCK_MACHINES = `${SELECT_MACHINE} WHERE m.public_id = ANY($1) ORDER BY m.id FOR NO KEY UPDATE OF m`;
/** Locks machines by their ids, by the tokens that are for them, and by their credentials. */
const LOCK_ENROLLED = `${SELECT_MACHINE} WHERE m.id IN (
    SELECT id FROM machines WHERE public_id = ANY($1)
    UNION SELECT b.id FROM join_tokens t JOIN machines b ON b.public_id = t.machine_public_id WHERE t.token_hash = ANY($2::bytea[])
    UNION SELECT id FROM machines WHERE credential_hash = ANY($3::bytea[]))
  ORDER BY m.id FOR NO KEY UPDATE OF m`;

export async function loadMachines(connection: Connection, all: readonly Needs[]): Promise<MachineRow[]> {
  const ids = [...new Set(all.flatMap(({ machines = [] }) => machines))];
  const enrolments = all.flatMap(({ enrolment }) => enrolment ?? []);
  if (enrolments.length > 0) {
    const hashes = [enrolments.map(({ tokenHash }) => tokenHash), enrolments.map((own) => own.credentialHash)];
    return connection.query<MachineRow>({ name: 'lock-enrolled', text: LOCK_ENROLLED, values: [ids, ...hashes] });
  }
  return ids.length === 0
    ? []
    : connection.query<MachineRow>({ name: 'lock-machines', text: LOCK_MACHINES, values: [ids] });
}

const OF_HASHES = 'token_hash = ANY($1::bytea[])';
const SHARE_REUSABLE = `SELECT pg_advisory_xact_lock_shared(${REUSABLE_TOKEN_LOCK})
  FROM (SELECT id FROM join_tokens WHERE ${OF_HASHES} AND reusable ORDER BY id) AS t`;
const READ_REUSABLE = `${SELECT_JOIN_TOKEN} WHERE ${OF_HASHES} AND reusable`;
const LOCK_OTHERS = `${SELECT_JOIN_TOKEN} WHERE ${OF_HASHES} AND NOT reusable ORDER BY id FOR UPDATE`;

/** Locks and reads join tokens. Of two transactions with the same one, the second waits here for the first, unless the token is reusable. */
export async function loadTokens(connection: Connection, all: readonly Needs[]): Promise<Map<string, JoinTokenRow>> {
  const hashes = all.flatMap(({ enrolment }) => enrolment?.tokenHash ?? []);
  if (hashes.length === 0) return new Map();
  const values = [hashes];
  const [, reusable, others] = await Promise.all([
    connection.run({ name: 'share-tokens', text: SHARE_REUSABLE, values }),
    connection.query<TokenRow>({ name: 'read-tokens', text: READ_REUSABLE, values }),
    connection.query<TokenRow>({ name: 'lock-tokens', text: LOCK_OTHERS, values }),
  ]);
  return new Map([...reusable, ...others].map((row) => [row.token_hash.toString('hex'), row]));
}

/** Counts the machines of providers. Of two transactions that create machines of a provider, one waits here for the other. */
export async function loadCounts(connection: Connection, all: readonly Needs[]): Promise<Map<string, number>> {
  const providers = [...new Set(all.flatMap(({ countOf }) => countOf ?? []))].sort();
  const counts = await Promise.all(
    providers.map(async (provider) => {
      const lock = connection.run({
        text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
        values: [provider],
      });
      const text = "SELECT count(*) AS count FROM machines WHERE provider = $1 AND phase <> 'destroyed'";
      const [, [row]] = await Promise.all([lock, connection.query<{ count: number }>({ text, values: [provider] })]);
      return [provider, row?.count ?? 0] as const;
    }),
  );
  return new Map(counts);
}

/** Finds the machines that have the names. Of two transactions that give the same name, one waits here for the other. */
export async function loadHolders(connection: Connection, all: readonly Needs[]): Promise<Map<string, number>> {
  const names = [...new Set(all.flatMap(({ name }) => name ?? []))].sort();
  if (names.length === 0) return new Map();
  const lock = `SELECT pg_advisory_xact_lock(hashtextextended('name ' || n, 0)) FROM unnest($1::text[]) AS n`;
  const text = "SELECT name, id FROM machines WHERE name = ANY($1) AND desired_state <> 'destroyed'";
  const [, rows] = await Promise.all([
    connection.run({ text: lock, values: [names] }),
    connection.query<{ name: string; id: number }>({ text, values: [names] }),
  ]);
  return new Map(rows.map(({ name, id }) => [name, id]));
}
