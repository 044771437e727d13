/** Requests that stay open (streams, waits): counted by key, and ended at once when the key or the server goes away. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';

/** Why an open request was ended: the `reason` of its signal. */
type EndReason = 'client_gone' | 'key_invalid' | 'stopping';

/** The longest that setTimeout counts, in ms. */
const MAX_TIMER_MS = 2_147_483_647;

export interface OpenRequests {
  /** A signal that aborts when the client is gone, its key is no longer valid, or the server stops. Throws RATE_LIMITED. */
  open(request: FastifyRequest, reply: FastifyReply): AbortSignal;
  /** Ends all that a revoked key holds open. */
  endKey(apiKeyId: string): void;
  /** Ends everything; what is opened afterwards ends at once. */
  endAll(): void;
  /** How many are open. */
  count(): number;
}

export function createOpenRequests(p: { maxPerKey: number; now: () => number }): OpenRequests {
  const byKey = new Map<string, Set<AbortController>>();
  let stopping = false;

  const end = (controllers: Iterable<AbortController>, reason: EndReason): void => {
    for (const controller of [...controllers]) controller.abort(reason);
  };
  const forget = (apiKeyId: string, controller: AbortController): void => {
    const open = byKey.get(apiKeyId);
    open?.delete(controller);
    if (open?.size === 0) byKey.delete(apiKeyId);
  };

  return {
    open(request, reply) {
      const { apiKeyId, expiresAt } = request.principal;
      const open = byKey.get(apiKeyId) ?? new Set();
      if (open.size >= p.maxPerKey) {
        throw new ApiError('RATE_LIMITED', { message: 'The API key holds too many streams and waits open.' });
      }
      const controller = new AbortController();
      byKey.set(apiKeyId, open.add(controller));
      const expiry =
        expiresAt === undefined
          ? undefined
          : setTimeout(() => controller.abort('key_invalid'), Math.min(expiresAt - p.now(), MAX_TIMER_MS)).unref();
      reply.raw.once('close', () => {
        clearTimeout(expiry);
        forget(apiKeyId, controller);
        controller.abort('client_gone');
      });
      if (stopping) controller.abort('stopping');
      return controller.signal;
    },
    endKey: (apiKeyId) => end(byKey.get(apiKeyId) ?? [], 'key_invalid'),
    endAll() {
      stopping = true;
      for (const controllers of byKey.values()) end(controllers, 'stopping');
    },
    count: () => [...byKey.values()].reduce((sum, controllers) => sum + controllers.size, 0),
  };
}

/** After a wait: throws AUTH_INVALID where the key was revoked, or expired, meanwhile. */
export function assertKeyStillValid(signal: AbortSignal): void {
  if (signal.reason === ('key_invalid' satisfies EndReason)) throw new ApiError('AUTH_INVALID');
}
