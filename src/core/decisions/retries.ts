/** Decides whether an API key may act, and whether a write repeats an earlier one. */

/** An Idempotency-Key as it is stored. */
export interface BoundKey {
  digest: Buffer;
  resource: string;
  expiresAt: number;
}

/** Returns the answer to a request with a bound key. Undefined if the key is free, or has expired. */
export function replayOf(
  bound: BoundKey | undefined,
  request: { digest: Buffer },
  now: number,
): { outcome: 'replayed'; resource: string } | { outcome: 'key_reused' } | undefined {
  if (bound === undefined || bound.expiresAt <= now) return undefined;
  return bound.digest.equals(request.digest)
    ? { outcome: 'replayed', resource: bound.resource }
    : { outcome: 'key_reused' };
}

/** Whether an API key may still act. */
export function mayAct(key: { revokedAt?: number; expiresAt?: number } | undefined, now: number): boolean {
  return key !== undefined && key.revokedAt === undefined && (key.expiresAt === undefined || key.expiresAt > now);
}
