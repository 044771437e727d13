/** Runs writes of several statements for an actor with the checks of every use case: a valid API key, and no repetition. */
import type { ActorRevoked, OnBehalf, Replay } from '../../store.ts';
import { refusalOf } from '../../transactions/retries.ts';
import { Batch } from './batch.ts';
import type { Connection } from '../connections/connection.ts';
import { flushStatements } from './flush.ts';
import { load } from './load.ts';
import { onBehalf } from './needs.ts';

/**
 * Runs a write with an Idempotency-Key. `resource`: the resource that the key is bound to, unless the write does not find its object.
 * `act` can give another one.
 */
export async function guarded<T extends { outcome: string }>(
  connection: Connection,
  p: OnBehalf & { now: number; resource: string },
  act: (bindTo: (resource: string) => void) => Promise<T>,
): Promise<T | Replay | ActorRevoked> {
  const batch = new Batch(await load(connection, [onBehalf(p, p.resource)]));
  const refusal = refusalOf(batch, p);
  let { resource } = p;
  const bindTo = (other: string): void => {
    resource = other;
  };
  const done = refusal ?? (await act(bindTo));
  if (refusal === undefined && done.outcome !== 'not_found') batch.bind(p.idempotency, resource);
  await Promise.all(flushStatements(batch).map((statement) => connection.run(statement)));
  return done;
}

/** Runs a write without an Idempotency-Key. */
export async function ifMayAct<T>(
  connection: Connection,
  { actor, now }: Pick<OnBehalf, 'actor'> & { now: number },
  act: () => Promise<T>,
): Promise<T | ActorRevoked> {
  const batch = new Batch(await load(connection, [{ actor }]));
  return batch.mayAct(actor, now) ? act() : { outcome: 'actor_revoked' };
}
