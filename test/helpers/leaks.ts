/** Set up for every test file: a file that leaves children or listening sockets open fails. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll } from 'vitest';

/** Names from Node; connected sockets are excluded, since fetch keeps some for a while. */
const OWNED = new Set(['ProcessWrap', 'TCPServerWrap', 'PipeServerWrap']);
/** A handle closes a moment after its owner is told. */
const GRACE_MS = 3000;

const leftOpen = () => process.getActiveResourcesInfo().filter((name) => OWNED.has(name));

afterAll(async () => {
  const until = performance.now() + GRACE_MS;
  while (leftOpen().length > 0 && performance.now() < until) await delay(20);
  const left = leftOpen();
  if (left.length > 0) throw new Error(`This test file leaves open: ${left.join(', ')}`);
});
