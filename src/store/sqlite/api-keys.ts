/** API keys: hashes, scopes, time of last use. */
import { refusalOf } from '../transactions/retries.ts';
import { type ApiKeyRow, toApiKey } from '../rows/api-key-row.ts';
import type { ApiKey, KeyStore } from '../store.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './tables/context.ts';

/** The API keys. A revoked key can still be read by its id, and is in no list. */
export function apiKeyMethods({ db, write, tx }: Context): KeyStore {
  const insert = db.prepare(
    `INSERT INTO api_keys (public_id, key_hash, name, scopes, machine_ids, created_at, expires_at, last_used_at, user_name)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const forgetExpired = db.prepare('DELETE FROM api_keys WHERE user_name = ? AND expires_at <= ?');
  const byId = db.prepare<[string], ApiKeyRow>('SELECT * FROM api_keys WHERE public_id = ?');
  const byHash = db.prepare<[Buffer], ApiKeyRow>('SELECT * FROM api_keys WHERE key_hash = ? AND revoked_at IS NULL');
  const list = db.prepare<[number, number], ApiKeyRow>(
    'SELECT * FROM api_keys WHERE id < ? AND revoked_at IS NULL ORDER BY id DESC LIMIT ?',
  );
  const revoke = db.prepare<[number, string], ApiKeyRow>(
    'UPDATE api_keys SET revoked_at = ? WHERE public_id = ? AND revoked_at IS NULL RETURNING *',
  );
  const touch = db.prepare(
    'UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), $at) WHERE public_id = $apiKeyId',
  );

  function create(p: Parameters<KeyStore['createApiKey']>[0]) {
    const refusal = refusalOf(tx, p);
    if (refusal !== undefined) return refusal;
    const { apiKey, keyHash } = p;
    if (apiKey.user !== undefined) forgetExpired.run(apiKey.user, p.now);
    insert.run(
      apiKey.apiKeyId,
      keyHash,
      apiKey.name,
      JSON.stringify(apiKey.scopes),
      apiKey.machineIds === undefined ? null : JSON.stringify(apiKey.machineIds),
      apiKey.createdAt,
      apiKey.expiresAt ?? null,
      apiKey.lastUsedAt ?? null,
      apiKey.user ?? null,
    );
    tx.bind(p.idempotency, apiKey.apiKeyId);
    return { outcome: 'created' } as const;
  }

  return {
    createApiKey: (p) => write(() => create(p)),
    getApiKey: ({ apiKeyId }) => read(() => apiKeyOf(byId.get(apiKeyId))),
    findApiKey: ({ keyHash }) => read(() => apiKeyOf(byHash.get(keyHash))),
    listApiKeys: ({ limit, after = Number.MAX_SAFE_INTEGER }) =>
      read(() => toPage(list.iterate(after, limit + 1), limit, (row) => row.id, toApiKey)),
    revokeApiKey: ({ apiKeyId, now, actor }) =>
      write(() => {
        if (!tx.mayAct(actor, now)) return { outcome: 'actor_revoked' };
        const row = revoke.get(now, apiKeyId);
        return row === undefined ? { outcome: 'not_found' } : { outcome: 'revoked', apiKey: toApiKey(row) };
      }),
    touchApiKeys: ({ used }) =>
      write(() => {
        for (const [apiKeyId, at] of used) touch.run({ apiKeyId, at });
      }),
  };
}

function apiKeyOf(row: ApiKeyRow | undefined): ApiKey | undefined {
  return row && toApiKey(row);
}
