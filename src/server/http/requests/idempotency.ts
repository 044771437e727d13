/** Idempotency-Keys: recognises the retry of a request, and refuses the key for any other request (contract §5.8). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';
import type { ActorRevoked, Idempotency, OnBehalf, Replay, Store } from '../../../store/store.ts';
import { ADMIN_KEY_ID } from '../authentication/key-ring.ts';
import { canonicalJson, canonicalPieces } from './canonical-json.ts';
import { runSteps } from './large-bodies.ts';
import { invalid } from '../replies/problem.ts';
import type { DigestSteps } from '../../seal.ts';

const KEPT_MS = 24 * 60 * 60 * 1000;
const KEY_PATTERN = /^[!-~]{1,255}$/;

/** The actor of a write, and its Idempotency-Key if the client sent one. The admin key has no row in the store. */
export type OnBehalfOf = (request: FastifyRequest) => Promise<OnBehalf>;

/** Returns the reader of a request's actor and Idempotency-Key. It rejects with a 422 for a malformed key. */
export function onBehalfReader(digest: DigestSteps, now: () => number): OnBehalfOf {
  const readIdempotency = idempotencyReader(digest, now);
  return async (request) => {
    const { apiKeyId } = request.principal;
    const idempotency = await readIdempotency(request);
    return {
      ...(apiKeyId === ADMIN_KEY_ID ? {} : { actor: { apiKeyId } }),
      ...(idempotency === undefined ? {} : { idempotency }),
    };
  };
}

function idempotencyReader(digest: DigestSteps, now: () => number) {
  return async (request: FastifyRequest): Promise<Idempotency | undefined> => {
    const key = request.headers['idempotency-key'];
    if (key === undefined) return undefined;
    if (typeof key !== 'string' || !KEY_PATTERN.test(key)) {
      throw invalid([{ location: 'header.idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }]);
    }
    const { body } = request;
    const steps = digest(
      request.method,
      request.routeOptions.url ?? '',
      canonicalJson(request.params),
      Buffer.isBuffer(body) ? body : canonicalPieces(body),
    );
    return {
      apiKeyId: request.principal.apiKeyId,
      key,
      digest: await runSteps(request, steps),
      expiresAt: now() + KEPT_MS,
    };
  };
}

/**
 * Returns the id that the first request created or changed, and marks the reply as a replay. Throws IDEMPOTENCY_KEY_REUSED, AUTH_INVALID.
 */
export function replayedResource(replay: Replay | ActorRevoked, reply: FastifyReply): string {
  assertReplay(replay, reply);
  return replay.resource;
}

/** Marks the reply as a replay. Throws IDEMPOTENCY_KEY_REUSED, AUTH_INVALID. */
export function assertReplay<T extends Replay | ActorRevoked>(
  replay: T,
  reply: FastifyReply,
): asserts replay is Extract<T, { outcome: 'replayed' }> {
  if (replay.outcome === 'actor_revoked') throw new ApiError('AUTH_INVALID');
  if (replay.outcome === 'key_reused') throw new ApiError('IDEMPOTENCY_KEY_REUSED');
  reply.header('idempotency-replayed', 'true');
}

/** The key of a request, the resource of the request, and the reply to mark as a replay. */
interface KeyedRequest {
  onBehalf: OnBehalf;
  resource: string;
  reply: FastifyReply;
  now: number;
}
/** The actor alone, for a write within `withIdempotencyKey`. */
export function actorOf({ onBehalf: { actor } }: Pick<KeyedRequest, 'onBehalf'>): Pick<OnBehalf, 'actor'> {
  return actor === undefined ? {} : { actor };
}

type IdempotencyStore = Pick<Store, 'bindIdempotency' | 'releaseIdempotency'>;

/**
 * Runs `act` under the request's Idempotency-Key, for actions that the store does not bind in their own transaction. `act` receives whether
 * this is a replay: an action that may be repeated safely is repeated, because a server may have died between the binding of the key and the
 * action. If `act` throws, the key becomes free again.
 */
export async function withIdempotencyKey<T>(
  store: IdempotencyStore,
  keyed: KeyedRequest,
  act: (replayed: boolean) => Promise<T>,
): Promise<T> {
  const { resource, reply, now } = keyed;
  const { idempotency, ...actor } = keyed.onBehalf;
  if (idempotency === undefined) return act(false);
  const bound = await store.bindIdempotency({ idempotency, ...actor, resource, now });
  if (bound.outcome !== 'bound') {
    replayedResource(bound, reply);
    return act(true);
  }
  try {
    return await act(false);
  } catch (error) {
    await store.releaseIdempotency({ apiKeyId: idempotency.apiKeyId, key: idempotency.key });
    throw error;
  }
}
