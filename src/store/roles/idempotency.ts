/** Idempotency-Keys, and the API key for which a write is made. */

/** The stored data that recognises a retry (contract §5.8). */
export interface Idempotency {
  /** API key id and the caller's key: unique together. */
  apiKeyId: string;
  key: string;
  /** Keyed digest of method, path and body. */
  digest: Buffer;
  expiresAt: number;
}

/** Outcomes common to all writes with an Idempotency-Key. `resource` is the id that the first request created or changed. */
export type Replay = { outcome: 'replayed'; resource: string } | { outcome: 'key_reused' };

/** An API key of the store. A write for it happens only if the key is neither revoked nor expired in that transaction. */
export interface Actor {
  apiKeyId: string;
}

/** The actor's key was revoked or has expired: nothing was written. */
export interface ActorRevoked {
  outcome: 'actor_revoked';
}

/** Every write that a caller may repeat or be refused. Without `actor` nothing is checked: the configured key has no row. */
export interface OnBehalf {
  actor?: Actor;
  idempotency?: Idempotency;
}

export interface IdempotencyStore {
  /** Binds a key to an action that writes nothing else (a signal, a piece of stdin): `bound` for the first, then a Replay. */
  bindIdempotency(p: {
    idempotency: Idempotency;
    resource: string;
    now: number;
    actor?: Actor;
  }): Promise<{ outcome: 'bound' } | Replay | ActorRevoked>;
  /** Frees a key whose request was refused after all. */
  releaseIdempotency(p: { apiKeyId: string; key: string }): Promise<void>;
}
