/** Refuses writes of revoked keys and repeated writes. */
import type { ActorRevoked, OnBehalf, Replay } from '../roles/idempotency.ts';
import type { Transaction } from './transaction.ts';

const REVOKED: ActorRevoked = { outcome: 'actor_revoked' };

/** Returns the refusal of a write: its actor's key is revoked, or its Idempotency-Key was used. Undefined: it may be made. */
export function refusalOf(tx: Transaction, p: OnBehalf & { now: number }): Replay | ActorRevoked | undefined {
  return tx.mayAct(p.actor, p.now) ? tx.replay(p.idempotency, p.now) : REVOKED;
}
