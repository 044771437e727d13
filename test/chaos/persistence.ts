/** Retries of the clients of a chaos run. */
import { setTimeout as delay } from 'node:timers/promises';

const GIVE_UP_MS = 90_000;

/** Marks the promise as handled. Its result is awaited later. */
export function kept<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Retries `attempt` until it succeeds, since a server that was killed is started again. Rejects with its last error after GIVE_UP_MS. */
export async function persistently<T>(attempt: () => Promise<T>): Promise<T> {
  const until = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > until) throw error;
      await delay(50);
    }
  }
}
