/** Finds the principal of an API key: the admin key, or a key of the store, which is cached so that most requests need no read. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import type { ApiKey, Store } from '../../../store/store.ts';
import type { Scope } from '../../../api/fields.ts';

/** Time for which a cached key is valid without a read of the store; another server may have revoked it. */
const REMEMBERED_MS = 2000;
/** The id of the configured key, which is not in the store. */
export const ADMIN_KEY_ID = 'admin';
const MAX_REMEMBERED = 1000;
const TOUCH_EVERY_MS = 10_000;

/** The owner of a key, and its permissions. */
export interface Principal {
  apiKeyId: string;
  /** The user who signed in to the console through OpenID Connect. Absent for a key. */
  user?: string;
  /** SHA-256 of the key. */
  keyHash: Buffer;
  /** Scopes, including those that they imply. */
  scopes: ReadonlySet<Scope>;
  /** The only machines that it has access to. Absent: all. */
  machineIds?: readonly string[];
  /** ms since the epoch. */
  expiresAt?: number;
}

export interface KeyRing {
  /** Returns the principal of a key. `undefined` if it is unknown, expired or revoked. Synchronous if it is cached. */
  find(key: string): Principal | undefined | Promise<Principal | undefined>;
  /** Like `find`, by the SHA-256 of the key. */
  findHash(keyHash: Buffer): Principal | undefined | Promise<Principal | undefined>;
  /** Whether the principal's key is valid now, according to the store. */
  isValid(principal: Principal): Promise<boolean>;
  /** Drops a revoked key from the cache. */
  forget(apiKeyId: string): void;
  /** Stops the timer and writes the remaining times of use. */
  close(): Promise<void>;
}

export interface KeyRingDeps {
  store: Pick<Store, 'findApiKey' | 'touchApiKeys'>;
  adminKey: string;
  now: () => number;
  logger: Pick<Logger, 'warn'>;
}

/** Returns the name of a principal for the audit trail. */
export function actorName({ apiKeyId, user }: Pick<Principal, 'apiKeyId' | 'user'>): string {
  return user === undefined ? apiKeyId : `user:${user}`;
}

/** Returns the SHA-256 of a secret, as the store keeps it. */
export function secretHash(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** Creates a key ring with at most 1,000 cached keys. Owns a timer, which `close` ends. */
export function createKeyRing({ store, adminKey, now, logger }: KeyRingDeps): KeyRing {
  const adminHash = secretHash(adminKey);
  const admin: Principal = { apiKeyId: ADMIN_KEY_ID, keyHash: adminHash, scopes: scopesOf(['admin']) };
  const remembered = new Map<string, { principal: Principal; until: number }>();
  let used = new Map<string, number>();
  let forgets = 0;

  const use = (principal: Principal): Principal | undefined => {
    const at = now();
    if (principal.expiresAt !== undefined && at >= principal.expiresAt) return undefined;
    used.set(principal.apiKeyId, at);
    return principal;
  };
  const ask = async (keyHash: Buffer, name: string): Promise<Principal | undefined> => {
    const forgetsBefore = forgets;
    const apiKey = await store.findApiKey({ keyHash });
    // A read while a key is being revoked may return that key as it was before.
    if (forgets !== forgetsBefore) return ask(keyHash, name);
    if (apiKey === undefined) return undefined;
    const principal = principalOf(apiKey, keyHash);
    if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.keys().next().value ?? '');
    remembered.set(name, { principal, until: now() + REMEMBERED_MS });
    return use(principal);
  };
  const touch = async (): Promise<void> => {
    if (used.size === 0) return;
    const batch = used;
    used = new Map();
    await store.touchApiKeys({ used: batch }).catch((err: unknown) => {
      logger.warn({ err }, 'the last-used times of API keys could not be written; they are written at the next use');
    });
  };
  const timer = setInterval(() => void touch(), TOUCH_EVERY_MS).unref();

  return {
    find(key) {
      return this.findHash(secretHash(key));
    },
    findHash(keyHash) {
      if (timingSafeEqual(keyHash, adminHash)) return admin;
      const name = keyHash.toString('latin1');
      const known = remembered.get(name);
      if (known !== undefined && now() < known.until) return use(known.principal);
      remembered.delete(name);
      return ask(keyHash, name);
    },
    async isValid(principal) {
      if (principal === admin) return true;
      if (principal.expiresAt !== undefined && now() >= principal.expiresAt) return false;
      return (await store.findApiKey({ keyHash: principal.keyHash })) !== undefined;
    },
    forget(apiKeyId) {
      forgets += 1;
      for (const [name, { principal }] of remembered) if (principal.apiKeyId === apiKeyId) remembered.delete(name);
    },
    async close() {
      clearInterval(timer);
      await touch();
    },
  };
}

function principalOf(apiKey: ApiKey, keyHash: Buffer): Principal {
  return {
    apiKeyId: apiKey.apiKeyId,
    ...(apiKey.user === undefined ? {} : { user: apiKey.user }),
    keyHash,
    scopes: scopesOf(apiKey.scopes as readonly Scope[]),
    ...(apiKey.machineIds === undefined ? {} : { machineIds: apiKey.machineIds }),
    ...(apiKey.expiresAt === undefined ? {} : { expiresAt: apiKey.expiresAt }),
  };
}

function scopesOf(granted: readonly Scope[]): ReadonlySet<Scope> {
  const scopes = new Set<Scope>(granted);
  if (scopes.has('admin')) scopes.add('machines:write').add('executions:write').add('machines:read');
  if (scopes.has('executions:write')) scopes.add('executions:read');
  if (scopes.has('machines:write')) scopes.add('machines:read');
  return scopes;
}
