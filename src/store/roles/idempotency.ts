/** Idempotency-Keys, and the API key on whose behalf a write is made. */

/** The stored data that recognises a retry (contract §5.8). */
export interface Idempotency {
  /** API key id. Unique together with `key`, which the caller chose. */
  apiKeyId: string;
  key: string;
  /** Keyed digest of method, path and body. */
  digest: Buffer;
  expiresAt: number;
}

/**
 * Outcomes common to all writes with an Idempotency-Key. `resource` is the id that the first request created or changed. It stands for a
 * deleted schedule as a whole, of which nothing else is kept.
 */
export type Replay = { outcome: 'replayed'; resource: string } | { outcome: 'key_reused' };

/** An API key in the store. A write on its behalf happens only if the key is neither revoked nor expired in that transaction. */
export interface Actor {
  apiKeyId: string;
}

/** The actor's key was revoked or has expired: nothing was written. */
export interface ActorRevoked {
  outcome: 'actor_revoked';
}

/** The fields of each write that a caller may repeat or be refused. Without `actor` nothing is checked: the configured key has no row. */
export interface OnBehalf {
  actor?: Actor;
  idempotency?: Idempotency;
}

export interface IdempotencyStore {
  /** Returns what a write with this key would return if it repeats an earlier one. Undefined: it repeats none. */
  findReplay(p: { idempotency: Idempotency; now: number }): Promise<Replay | undefined>;
  /** Binds a key to an action that writes nothing else (a signal, a piece of stdin): `bound` for the first, then a Replay. */
  bindIdempotency(p: {
    idempotency: Idempotency;
    resource: string;
    now: number;
    actor?: Actor;
  }): Promise<{ outcome: 'bound' } | Replay | ActorRevoked>;
  /** Frees a key whose request was refused afterwards. */
  releaseIdempotency(p: { apiKeyId: string; key: string }): Promise<void>;
}
