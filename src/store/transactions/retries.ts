/** Writes that must not be made, or not again. */
import type { ActorRevoked, OnBehalf, Replay } from '../roles/idempotency.ts';
import type { Transaction } from './transaction.ts';

const REVOKED: ActorRevoked = { outcome: 'actor_revoked' };

/** The reason why a write must not be made (again): its actor's key is revoked, or it was made under this Idempotency-Key. */
export function refusalOf(tx: Transaction, p: OnBehalf & { now: number }): Replay | ActorRevoked | undefined {
  return tx.mayAct(p.actor, p.now) ? tx.replay(p.idempotency, p.now) : REVOKED;
}
