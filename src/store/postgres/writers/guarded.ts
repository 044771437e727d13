/** Writes of several statements for an actor, possibly repeated: with the checks that every use case makes. */
import type { ActorRevoked, OnBehalf, Replay } from '../../store.ts';
import { refusalOf } from '../../transactions/retries.ts';
import { Batch } from './batch.ts';
import type { Connection } from '../connections/connection.ts';
import { flushStatements } from './flush.ts';
import { load } from './load.ts';
import { onBehalf } from './needs.ts';

/** `resource`: what the key is bound to from now on. */
export async function guarded<T>(
  connection: Connection,
  p: OnBehalf & { now: number; resource: string },
  act: () => Promise<T>,
): Promise<T | Replay | ActorRevoked> {
  const batch = new Batch(await load(connection, [onBehalf(p, p.resource)]));
  const refusal = refusalOf(batch, p);
  if (refusal === undefined) batch.bind(p.idempotency, p.resource);
  const done = refusal ?? (await act());
  await Promise.all(flushStatements(batch).map((statement) => connection.run(statement)));
  return done;
}

/** The same for writes without an Idempotency-Key. */
export async function ifMayAct<T>(
  connection: Connection,
  { actor, now }: Pick<OnBehalf, 'actor'> & { now: number },
  act: () => Promise<T>,
): Promise<T | ActorRevoked> {
  const batch = new Batch(await load(connection, [{ actor }]));
  return batch.mayAct(actor, now) ? act() : { outcome: 'actor_revoked' };
}
