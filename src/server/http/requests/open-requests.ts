/** Counts the requests of each key that stay open (streams, waits), and ends them when the key becomes invalid or the server stops. */
import type { EventEmitter } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';
import type { Principal } from '../authentication/key-ring.ts';

/** The cause of the end of an open request: the `reason` of its signal. */
type EndReason = 'client_gone' | 'key_invalid' | 'stopping';

/** Interval between lookups of the keys of open requests: another server may have revoked them. */
const RECHECK_INTERVAL_MS = 2000;
/** The longest delay of setTimeout, in ms. */
const MAX_TIMER_MS = 2_147_483_647;

export interface OpenRequests {
  /** Returns a signal that aborts when the client disconnects, its key becomes invalid, or the server stops. Throws RATE_LIMITED. */
  open(request: FastifyRequest, reply: FastifyReply): AbortSignal;
  /** Like `open`, for a request with a signed link. */
  openLink(reply: FastifyReply): AbortSignal;
  /** Like `open`, for an upgraded socket. */
  hold(principal: Principal, connection: Pick<EventEmitter, 'once'>): AbortSignal;
  /** Ends all open requests of a revoked key. */
  endKey(apiKeyId: string): void;
  /** Ends everything. Requests opened later end at once. */
  endAll(): void;
  /** Number of open requests. */
  count(): number;
}

/** Used in place of an API key id to count requests by link. */
const LINKS = 'links';

interface OpenOfKey {
  /** Absent for links. */
  principal: Principal | undefined;
  controllers: Set<AbortController>;
}

/** Creates the registry. `isValid` looks up a key in the store. While the store is unavailable, requests stay open. */
export function createOpenRequests(p: {
  maxPerKey: number;
  now: () => number;
  isValid: (principal: Principal) => Promise<boolean>;
}): OpenRequests {
  const byKey = new Map<string, OpenOfKey>();
  let stopping = false;

  const end = (controllers: Iterable<AbortController>, reason: EndReason): void => {
    for (const controller of [...controllers]) controller.abort(reason);
  };
  const forget = (apiKeyId: string, controller: AbortController): void => {
    const open = byKey.get(apiKeyId);
    open?.controllers.delete(controller);
    if (open?.controllers.size === 0) byKey.delete(apiKeyId);
  };
  const recheck = async ({ principal, controllers }: OpenOfKey): Promise<void> => {
    if (principal === undefined) return;
    const valid = await p.isValid(principal).catch(() => true);
    if (!valid) end(controllers, 'key_invalid');
  };
  const timer = setInterval(() => {
    for (const open of byKey.values()) void recheck(open);
  }, RECHECK_INTERVAL_MS).unref();

  const hold = (principal: Principal | undefined, connection: Pick<EventEmitter, 'once'>): AbortSignal => {
    const { apiKeyId = LINKS, expiresAt } = principal ?? {};
    const open = byKey.get(apiKeyId) ?? { principal, controllers: new Set() };
    if (open.controllers.size >= p.maxPerKey) {
      throw new ApiError('RATE_LIMITED', { message: 'The API key has too many open streams and waits.' });
    }
    const controller = new AbortController();
    open.controllers.add(controller);
    byKey.set(apiKeyId, open);
    const expiry =
      expiresAt === undefined
        ? undefined
        : setTimeout(() => controller.abort('key_invalid'), Math.min(expiresAt - p.now(), MAX_TIMER_MS)).unref();
    connection.once('close', () => {
      clearTimeout(expiry);
      forget(apiKeyId, controller);
      controller.abort('client_gone');
    });
    if (stopping) controller.abort('stopping');
    return controller.signal;
  };

  return {
    open: (request, reply) => hold(request.principal, reply.raw),
    openLink: (reply) => hold(undefined, reply.raw),
    hold,
    endKey: (apiKeyId) => end(byKey.get(apiKeyId)?.controllers ?? [], 'key_invalid'),
    endAll() {
      stopping = true;
      clearInterval(timer);
      for (const { controllers } of byKey.values()) end(controllers, 'stopping');
    },
    count: () => [...byKey.values()].reduce((sum, { controllers }) => sum + controllers.size, 0),
  };
}

/** Throws AUTH_INVALID if the key was revoked or expired while the request waited. */
export function assertKeyStillValid(signal: AbortSignal): void {
  if (signal.reason === ('key_invalid' satisfies EndReason)) throw new ApiError('AUTH_INVALID');
}
