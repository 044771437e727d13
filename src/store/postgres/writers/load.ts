/** The first round trip of a batch: locks and reads everything that its use cases need, in the order that all transactions follow. */
import { type ArtifactRow, toArtifact } from '../../rows/artifact-row.ts';
import { type ExecutionRow, toRecord } from '../../rows/execution-row.ts';
import type { Connection } from '../connections/connection.ts';
import type { Statement } from '../connections/statement-group.ts';
import { HISTORY } from '../statements/history.ts';
import { SELECT_ARTIFACT } from '../statements/select-artifact.ts';
import { EXECUTION_COLUMNS, EXECUTION_TABLES, SELECT_EXECUTION } from '../statements/select-execution.ts';
import type { MachineRow } from '../statements/select-machine.ts';
import type { Loaded } from './batch.ts';
import type { Reused } from './known-rows.ts';
import { loadCounts, loadHolders, loadMachines, loadTokens } from './load-machines.ts';
import { type Doubts, keyOf, type Needs } from './needs.ts';

interface KeyRow {
  api_key: string;
  key: string;
  digest: Buffer;
  resource: string;
  expires_at: number;
}

type RecordRow = ExecutionRow & { sealed?: Buffer | null };

/**
 * Lock order: keys of actors, Idempotency-Keys, providers, join tokens, names, machines, executions; each sorted. `reused`: machines, executions and keys that
 * are not read.
 */
export async function load(connection: Connection, all: readonly Needs[], reused?: Reused): Promise<Loaded> {
  const rowNeeds = reused === undefined ? all : [];
  const executions = all.filter(({ creates }) => creates === 'execution').length;
  const machines = all.filter(({ creates }) => creates === 'machine').length;
  const [actors, keys, countOf, tokens, holders, rows, found, freshExecutionKeys, freshKeys, artifacts, totalBytes] =
    await Promise.all([
      loadActors(connection, all),
      loadKeys(connection, all),
      loadCounts(connection, all),
      loadTokens(connection, all),
      loadHolders(connection, all),
      loadMachines(connection, rowNeeds),
      loadRecords(connection, rowNeeds),
      reused?.freshKeys ?? drawKeys(connection, 'execution_ids', executions),
      drawKeys(connection, 'machines_id_seq', machines),
      loadArtifacts(connection, all),
      loadArtifactBytes(connection, all),
    ]);
  const doubts = await loadDoubtful(connection, all, rows);
  const records = [...found, ...doubts];
  const doubtful = new Set(doubts.map(({ id }) => id));
  const inputs = new Map(
    records.flatMap(({ id, sealed }) => (sealed instanceof Buffer ? [[id, sealed] as const] : [])),
  );
  const loaded = { records: distinct(records).map(toRecord), inputs, artifacts: artifacts.map(toArtifact), totalBytes };
  return { actors, keys, countOf, tokens, holders, rows, doubtful, freshExecutionKeys, freshKeys, reused, ...loaded };
}

async function loadActors(connection: Connection, all: readonly Needs[]): Promise<Loaded['actors']> {
  const ids = [...new Set(all.flatMap(({ actor }) => (actor === undefined ? [] : [actor.apiKeyId])))];
  if (ids.length === 0) return new Map();
  const rows = await connection.query<{ public_id: string; revoked_at: number | null; expires_at: number | null }>({
    name: 'load-actors',
    text: `SELECT public_id, revoked_at, expires_at FROM api_keys WHERE public_id = ANY($1) ORDER BY id FOR KEY SHARE`,
    values: [ids],
  });
  return new Map(
    rows.map(({ public_id: id, revoked_at: revokedAt, expires_at: expiresAt }) => [
      id,
      { ...(revokedAt !== null && { revokedAt }), ...(expiresAt !== null && { expiresAt }) },
    ]),
  );
}

/**
 * Inserts each key on trial, unless an unexpired one exists. Of two transactions with the same key, one waits here for the other, and then
 * finds its key.
 */
const TRY_KEYS = `INSERT INTO idempotency (api_key, key, digest, resource, expires_at)
  SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) AS t (a, k, d, r, e) ORDER BY a, k
  ON CONFLICT (api_key, key) DO UPDATE SET digest = EXCLUDED.digest, resource = EXCLUDED.resource,
    expires_at = EXCLUDED.expires_at WHERE idempotency.expires_at <= $6
  RETURNING api_key, key`;

async function loadKeys(connection: Connection, all: readonly Needs[]): Promise<Loaded['keys']> {
  const keys = new Map(
    all.flatMap(({ idempotency }) => (idempotency === undefined ? [] : [[keyOf(idempotency.identity), idempotency]])),
  );
  if (keys.size === 0) return new Map();
  const list = [...keys.values()];
  const names = [list.map(({ identity: { apiKeyId } }) => apiKeyId), list.map(({ identity: { key } }) => key)];
  const values = [
    ...names,
    list.map(({ identity: { digest } }) => digest),
    list.map(({ resource }) => resource),
    list.map(({ identity: { expiresAt } }) => expiresAt),
    Math.max(...list.map(({ now }) => now)),
  ];
  const [trials, found] = await Promise.all([
    connection.query<{ api_key: string; key: string }>({ name: 'try-keys', text: TRY_KEYS, values }),
    connection.query<KeyRow>({
      name: 'find-keys',
      text: 'SELECT * FROM idempotency WHERE (api_key, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))',
      values: names,
    }),
  ]);
  const trialKeys = new Set(trials.map(({ api_key: apiKeyId, key }) => keyOf({ apiKeyId, key })));
  return new Map(
    found.map(({ api_key: apiKeyId, key, digest, resource, expires_at: expiresAt }) => {
      const name = keyOf({ apiKeyId, key });
      return [name, { bound: { digest, resource, expiresAt }, isTrial: trialKeys.has(name) }];
    }),
  );
}

async function loadArtifacts(connection: Connection, all: readonly Needs[]): Promise<ArtifactRow[]> {
  const ids = [...new Set(all.flatMap(({ artifacts = [] }) => artifacts))];
  if (ids.length === 0) return [];
  const text = `${SELECT_ARTIFACT} AND a.public_id = ANY($1) ORDER BY a.expires_at, a.id FOR UPDATE OF a`;
  return connection.query<ArtifactRow>({ text, values: [ids] });
}

async function loadArtifactBytes(connection: Connection, all: readonly Needs[]): Promise<number> {
  if (!all.some(({ artifactBytes }) => artifactBytes)) return 0;
  // The last lock of a batch. Of two batches that add bytes, one waits here, and then counts the bytes of the other.
  const lock = connection.run({ text: "SELECT pg_advisory_xact_lock(hashtextextended('artifact bytes', 0))" });
  const text = 'SELECT coalesce(sum(bytes), 0)::bigint AS bytes FROM artifacts WHERE deleted_at IS NULL';
  const [, [row]] = await Promise.all([lock, connection.query<{ bytes: number }>({ text })]);
  return row?.bytes ?? 0;
}

async function loadRecords(connection: Connection, all: readonly Needs[]): Promise<RecordRow[]> {
  const rows = await Promise.all(recordStatements(all).map((statement) => connection.query<RecordRow>(statement)));
  return rows.flat();
}

const OF_MACHINE = 'e.machine_id = (SELECT id FROM machines WHERE public_id = $1)';
const LOCK_CLAIMABLE = `SELECT ${EXECUTION_COLUMNS}, s.sealed
  FROM ${EXECUTION_TABLES} LEFT JOIN sealed_inputs s ON s.execution_id = e.id
  WHERE ${OF_MACHINE} AND e.status = 'queued' AND e.dispatched_to IS NULL AND e.completed_at IS NULL AND e.expires_at > $2
  ORDER BY e.id LIMIT $3 FOR UPDATE OF e`;
const LOCK_WAKING = `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND e.status = 'wake_in_progress'
  ORDER BY e.id LIMIT $2 FOR UPDATE OF e`;

const LOCK_UNFINISHED = `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND e.completed_at IS NULL
  ORDER BY e.id FOR UPDATE OF e`;

/** Returns the statements that lock executions. Reads some more than can be claimed: a use case of the same batch may cancel one. */
function recordStatements(all: readonly Needs[]): Statement[] {
  const ids = [...new Set(all.flatMap(({ executions = [] }) => executions))];
  const named = {
    name: 'lock-executions',
    text: `${SELECT_EXECUTION} WHERE e.public_id = ANY($1) ORDER BY e.id FOR UPDATE OF e`,
  };
  const claims = all.flatMap(({ claimable }) => claimable ?? []);
  const wakes = all.flatMap(({ waking }) => waking ?? []);
  const whole = all.flatMap(({ unfinished }) => unfinished ?? []);
  return [
    ...(ids.length === 0 ? [] : [{ ...named, values: [ids] }]),
    ...Array.from(
      Map.groupBy(claims, ({ machineId }) => machineId),
      ([machineId, claims]) => ({
        name: 'lock-claimable',
        text: LOCK_CLAIMABLE,
        values: [machineId, Math.min(...claims.map(({ now }) => now)), sumOf(claims) + ids.length],
      }),
    ),
    ...Array.from(
      Map.groupBy(wakes, ({ machineId }) => machineId),
      ([machineId, wakes]) => ({
        name: 'lock-waking',
        text: LOCK_WAKING,
        values: [machineId, sumOf(wakes) + ids.length],
      }),
    ),
    ...whole.map((machineId) => ({ text: LOCK_UNFINISHED, values: [machineId] })),
  ];
}

/**
 * Selects waiting executions whose dispatch may have been lost. A dispatch number above the machine's, or a waiting execution that the agent
 * holds, proves that commits were lost. A new runner instance has no record of an earlier one's executions: if the database has begun another
 * history since the last hello, all executions that waited by then are in doubt.
 */
const LOCK_DOUBTFUL = `${SELECT_EXECUTION} WHERE m.public_id = $1 AND e.dispatched_to IS NULL AND e.completed_at IS NULL
  AND (e.public_id = ANY($2) OR m.last_dispatch_number < $3
    OR m.runner_instance <> $4 AND m.history <> (SELECT ${HISTORY}) AND e.created_at <=
      (SELECT CASE c.history WHEN ${HISTORY} THEN c.history_since ELSE $5 END FROM cluster c))
  ORDER BY e.id FOR UPDATE OF e`;

async function loadDoubtful(
  connection: Connection,
  all: readonly Needs[],
  machines: readonly MachineRow[],
): Promise<RecordRow[]> {
  // Nothing waits for most machines that connect. The waiting executions of a machine are locked by nobody who has not locked its row.
  const withQueue = new Set(machines.filter(({ waiting }) => waiting > 0).map(({ public_id: machineId }) => machineId));
  const rows = await Promise.all(
    all
      .flatMap(({ doubtful }) => doubtful ?? [])
      .filter(({ machineId }) => withQueue.has(machineId))
      .map(({ machineId, held, lastDispatchNumber, runnerInstance, now }: Doubts) => {
        const values = [machineId, held, lastDispatchNumber, runnerInstance, now];
        return connection.query<RecordRow>({ name: 'lock-doubtful', text: LOCK_DOUBTFUL, values });
      }),
  );
  return rows.flat();
}

function sumOf(queries: readonly { limit: number }[]): number {
  return queries.reduce((sum, { limit }) => sum + limit, 0);
}

/** Removes repeated rows: an execution may be both named and claimed. */
function distinct(rows: readonly RecordRow[]): RecordRow[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()];
}

/** Returns new keys. They are drawn under the locks of the machines, so that they rise for each machine in the order of commits. */
async function drawKeys(
  connection: Connection,
  sequence: 'execution_ids' | 'machines_id_seq',
  count: number,
): Promise<number[]> {
  if (count === 0) return [];
  const text = 'SELECT nextval($2::regclass) AS key FROM generate_series(1, $1)';
  const rows = await connection.query<{ key: number }>({ name: 'fresh-keys', text, values: [count, sequence] });
  return rows.map(({ key }) => key);
}

/** Number of keys that are drawn in advance. */
const KEYS_AHEAD = 64;

/** Draws keys for later executions, if `left` are few. */
export function drawKeysAhead(connection: Connection, left: number): Promise<number[]> {
  return drawKeys(connection, 'execution_ids', left < KEYS_AHEAD / 2 ? KEYS_AHEAD : 0);
}
