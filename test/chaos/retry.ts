/** Retries of the clients of a chaos run. */
import { setTimeout as delay } from 'node:timers/promises';

const RETRY_LIMIT_MS = 90_000;

/** Marks the promise as handled. Its result is awaited later. */
export function markHandled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Retries `attempt` until it succeeds, since a server that was killed is started again. Rejects with its last error after RETRY_LIMIT_MS. */
export async function retryUntilSuccess<T>(attempt: () => Promise<T>): Promise<T> {
  const until = performance.now() + RETRY_LIMIT_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > until) throw error;
      await delay(50);
    }
  }
}
