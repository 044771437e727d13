/** Setup of each test file: a file that leaves child processes or listening sockets open fails. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll } from 'vitest';

/** Names of resources in Node.js. Connected sockets are not in the list, since fetch keeps connections open for some time. */
const OWNED = new Set(['ProcessWrap', 'TCPServerWrap', 'PipeServerWrap']);
/** The time limit for handles to close, ms. Node.js closes a handle after it calls the owner's callback. */
const GRACE_MS = 3000;

const leftOpen = () => process.getActiveResourcesInfo().filter((name) => OWNED.has(name));

afterAll(async () => {
  const until = performance.now() + GRACE_MS;
  while (leftOpen().length > 0 && performance.now() < until) await delay(20);
  const left = leftOpen();
  if (left.length > 0) throw new Error(`This test file leaves open: ${left.join(', ')}`);
});
