/** The phases of an agent session, and their order. */

export type SessionPhase = 'awaiting_hello' | 'joining' | 'ready' | 'closed';

const PHASES_BEFORE: Record<SessionPhase, readonly SessionPhase[]> = {
  awaiting_hello: [],
  joining: ['awaiting_hello'],
  ready: ['joining'],
  closed: ['awaiting_hello', 'joining', 'ready'],
};

/** Returns `next` if a session may enter it from `current`. Otherwise throws, because the server has a fault. */
export function nextPhase(current: SessionPhase, next: SessionPhase): SessionPhase {
  if (PHASES_BEFORE[next].includes(current)) return next;
  throw new Error(`an agent session cannot go from ${current} to ${next}`);
}
