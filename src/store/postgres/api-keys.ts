/** API keys: hashes, scopes, time of last use. */
import { type ApiKeyRow, toApiKey } from '../rows/api-key-row.ts';
import { toPage } from '../rows/page.ts';
import type { ApiKey, KeyStore } from '../store.ts';
import type { Context } from './context.ts';
import { guarded, ifMayAct } from './writers/guarded.ts';

const SELECT = `SELECT id, public_id, name, scopes, machine_ids, created_at, expires_at, last_used_at, user_name
  FROM api_keys`;
const INSERT = `INSERT INTO api_keys (public_id, key_hash, name, scopes, machine_ids, created_at, expires_at, last_used_at,
    user_name)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`;
const FORGET_EXPIRED = 'DELETE FROM api_keys WHERE user_name = $1 AND expires_at <= $2';
const TOUCH = `UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, u.at)
  FROM (SELECT * FROM unnest($1::text[], $2::bigint[]) AS t (id, at) ORDER BY id) u WHERE k.public_id = u.id`;

/** The API keys. A revoked key can still be read by its id, and is in no list. */
export function apiKeyMethods({ read, transactions }: Context): KeyStore {
  const findOne = async (condition: string, value: unknown): Promise<ApiKey | undefined> => {
    const [row] = await read<ApiKeyRow>({ text: `${SELECT} WHERE ${condition}`, values: [value] });
    return row && toApiKey(row);
  };
  return {
    createApiKey: (p) =>
      transactions.run((connection) =>
        guarded(connection, { ...p, resource: p.apiKey.apiKeyId }, async () => {
          const { user } = p.apiKey;
          if (user !== undefined) await connection.run({ text: FORGET_EXPIRED, values: [user, p.now] });
          await connection.run({ text: INSERT, values: valuesOf(p.apiKey, p.keyHash) });
          return { outcome: 'created' } as const;
        }),
      ),
    getApiKey: ({ apiKeyId }) => findOne('public_id = $1', apiKeyId),
    findApiKey: ({ keyHash }) => findOne('key_hash = $1 AND revoked_at IS NULL', keyHash),
    async listApiKeys({ limit, after = Number.MAX_SAFE_INTEGER }) {
      const text = `${SELECT} WHERE id < $1 AND revoked_at IS NULL ORDER BY id DESC LIMIT $2`;
      const rows = await read<ApiKeyRow>({ text, values: [after, limit + 1] });
      return toPage(rows, limit, (row) => row.id, toApiKey);
    },
    // The lock on the key's row waits for every transaction in which the key acts (load.ts). After it the key changes nothing.
    revokeApiKey: ({ apiKeyId, now, actor }) =>
      transactions.run((connection) =>
        ifMayAct(connection, { now, ...(actor && { actor }) }, async () => {
          const lock = 'WHERE public_id = $1 AND revoked_at IS NULL FOR UPDATE';
          const [row] = await connection.query<ApiKeyRow>({ text: `${SELECT} ${lock}`, values: [apiKeyId] });
          if (row === undefined) return { outcome: 'not_found' } as const;
          const text = 'UPDATE api_keys SET revoked_at = $1 WHERE public_id = $2';
          await connection.run({ text, values: [now, apiKeyId] });
          return { outcome: 'revoked', apiKey: toApiKey(row) } as const;
        }),
      ),
    touchApiKeys: ({ used }) =>
      transactions.run(async (connection) => {
        await connection.run({ text: TOUCH, values: [[...used.keys()], [...used.values()]] });
      }),
  };
}

function valuesOf(apiKey: ApiKey, keyHash: Buffer): unknown[] {
  const { apiKeyId, name, scopes, machineIds, createdAt, expiresAt, lastUsedAt, user } = apiKey;
  const machines = machineIds === undefined ? null : JSON.stringify(machineIds);
  return [apiKeyId, keyHash, name, JSON.stringify(scopes), machines, createdAt, expiresAt, lastUsedAt, user];
}
