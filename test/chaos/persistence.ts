/** Clients of a chaos run, which retry until they are answered. */
import { setTimeout as delay } from 'node:timers/promises';

const GIVE_UP_MS = 90_000;

/** Marks the promise as handled: its result is checked later. */
export function kept<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Retries until it succeeds: servers may be away, but they come back. */
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
