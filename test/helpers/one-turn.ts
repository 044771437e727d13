import { setImmediate } from 'node:timers/promises';

/** Lets the event loop poll once, so that notices which the kernel has queued before are delivered. */
export async function oneTurn(): Promise<void> {
  // The first callback may come before the poll.
  await setImmediate();
  await setImmediate();
}
