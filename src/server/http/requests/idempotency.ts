/** Idempotency-Key: what is kept of a request so that a retry is recognised and anything else is refused (contract §5.7). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';
import type { Idempotency, Replay, Store } from '../../../store/store.ts';
import { canonicalJson } from './canonical-json.ts';
import { invalid } from '../replies/problem.ts';
import type { Digest } from '../../control/seal.ts';

const KEPT_MS = 24 * 60 * 60 * 1000;
const KEY_PATTERN = /^[!-~]{1,255}$/;

/** Makes the Idempotency of a request; `undefined` where the client sent no key. */
export type ReadIdempotency = (request: FastifyRequest) => Idempotency | undefined;

export function idempotencyReader(digest: Digest, now: () => number): ReadIdempotency {
  return (request) => {
    const key = request.headers['idempotency-key'];
    if (key === undefined) return undefined;
    if (typeof key !== 'string' || !KEY_PATTERN.test(key)) {
      throw invalid([{ location: 'header.idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }]);
    }
    const body = request.body;
    return {
      apiKeyId: request.principal.apiKeyId,
      key,
      digest: digest(
        request.method,
        request.routeOptions.url ?? '',
        canonicalJson(request.params),
        Buffer.isBuffer(body) ? body : canonicalJson(body),
      ),
      expiresAt: now() + KEPT_MS,
    };
  };
}

/** The id that the first request made or touched; marks the answer as a replay, or throws where the key was another's. */
export function replayedResource(replay: Replay, reply: FastifyReply): string {
  if (replay.outcome === 'key_reused') throw new ApiError('IDEMPOTENCY_KEY_REUSED');
  reply.header('idempotency-replayed', 'true');
  return replay.resource;
}

/** The key of a request, what it touches, and the answer to be marked where it is a replay. */
interface Once {
  idempotency: Idempotency | undefined;
  resource: string;
  reply: FastifyReply;
  now: number;
}
type Keys = Pick<Store, 'bindIdempotency' | 'releaseIdempotency'>;

/**
 * Runs `act` once a key, for what the store does not bind in a transaction of its own. A replay runs nothing and answers
 * `undefined`; when `act` refuses (throws), the key is free again.
 */
export function actOnce<T>(store: Keys, once: Once, act: () => Promise<T>): Promise<T | undefined> {
  return actAgain(store, once, async (replayed) => (replayed ? undefined : act()));
}

/**
 * Runs `act` for replays too, for what may be done again: a server that died between binding the key and acting must not
 * answer afterwards for what it never did. `act` is told whether this is a replay.
 */
export async function actAgain<T>(store: Keys, once: Once, act: (replayed: boolean) => Promise<T>): Promise<T> {
  const { idempotency, resource, reply, now } = once;
  if (idempotency === undefined) return act(false);
  const bound = await store.bindIdempotency({ idempotency, resource, now });
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
