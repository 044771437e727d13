/** Idempotency-Keys: bound in the transaction of what they stand for, so that a refused or failed request binds nothing. */
import type { Idempotency, Replay, Store } from '../store.ts';
import type { Context } from './context.ts';
import type { Database } from './database.ts';

export interface IdempotencyTable {
  /** The replay that this key calls for, if it is bound and not expired. */
  replay(idempotency: Idempotency | undefined, now: number): Replay | undefined;
  /** Binds the key, in the place of an expired one. */
  bind(idempotency: Idempotency | undefined, resource: string): void;
  release(apiKeyId: string, key: string): void;
}

interface Row {
  digest: Buffer;
  resource: string;
}

/** The keys in `db`; to be used inside a write. */
export function createIdempotencyTable(db: Database): IdempotencyTable {
  const find = db.prepare<[string, string, number], Row>(
    'SELECT digest, resource FROM idempotency WHERE api_key_id = ? AND key = ? AND expires_at > ?',
  );
  const bind = db.prepare(
    'INSERT OR REPLACE INTO idempotency (api_key_id, key, digest, resource, expires_at) VALUES (?, ?, ?, ?, ?)',
  );
  const release = db.prepare('DELETE FROM idempotency WHERE api_key_id = ? AND key = ?');
  return {
    replay(idempotency, now) {
      if (idempotency === undefined) return undefined;
      const row = find.get(idempotency.apiKeyId, idempotency.key, now);
      if (row === undefined) return undefined;
      return row.digest.equals(idempotency.digest)
        ? { outcome: 'replayed', resource: row.resource }
        : { outcome: 'key_reused' };
    },
    bind(idempotency, resource) {
      if (idempotency === undefined) return;
      bind.run(idempotency.apiKeyId, idempotency.key, idempotency.digest, resource, idempotency.expiresAt);
    },
    release(apiKeyId, key) {
      release.run(apiKeyId, key);
    },
  };
}

/** The use cases that only bind or free a key. */
export function idempotencyMethods({
  write,
  idempotency: keys,
}: Context): Pick<Store, 'bindIdempotency' | 'releaseIdempotency'> {
  return {
    bindIdempotency: ({ idempotency, resource, now }) =>
      write(() => {
        const replay = keys.replay(idempotency, now);
        if (replay !== undefined) return replay;
        keys.bind(idempotency, resource);
        return { outcome: 'bound' };
      }),
    releaseIdempotency: ({ apiKeyId, key }) => write(() => keys.release(apiKeyId, key)),
  };
}
