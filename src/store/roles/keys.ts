/** API keys, stored as hashes. */
import type { Actor, ActorRevoked, OnBehalf, Replay } from './idempotency.ts';
import type { Page, PageRequest } from './pages.ts';

export interface ApiKey {
  apiKeyId: string;
  name: string;
  /** The user who signed in to the console through OpenID Connect; the key is that of the session. */
  user?: string;
  scopes: readonly string[];
  machineIds?: readonly string[];
  createdAt: number;
  expiresAt?: number;
  lastUsedAt?: number;
}

export interface KeyStore {
  /** A key with a user replaces the expired keys of the same user. */
  createApiKey(
    p: { apiKey: ApiKey; keyHash: Buffer; now: number } & OnBehalf,
  ): Promise<{ outcome: 'created' } | Replay | ActorRevoked>;
  /** Also returns a revoked key. */
  getApiKey(p: { apiKeyId: string }): Promise<ApiKey | undefined>;
  /** SHA-256 of a key → the key, unless revoked. The caller checks the expiry. */
  findApiKey(p: { keyHash: Buffer }): Promise<ApiKey | undefined>;
  listApiKeys(p: PageRequest): Promise<Page<ApiKey>>;
  revokeApiKey(p: {
    apiKeyId: string;
    now: number;
    actor?: Actor;
  }): Promise<{ outcome: 'revoked'; apiKey: ApiKey } | { outcome: 'not_found' } | ActorRevoked>;
  touchApiKeys(p: { used: ReadonlyMap<string, number> }): Promise<void>;
}
