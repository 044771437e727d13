/** How the connections of agents are spread over servers. */

/** A server keeps up to so many times its share. */
const MAX_SHARES = 1.5;
/** Below this difference it is not worth a reconnect. */
const MIN_EXCESS = 10;
/** The part of its connections that a server closes at once; it considers the rest later. */
const PART = 0.02;

/** The number of its `own` connections, of `total` on `servers` servers, that a server closes now. Pure and total. */
export function excessConnections({ own, total, servers }: { own: number; total: number; servers: number }): number {
  const share = Math.max(own, total) / Math.max(1, servers);
  const excess = Math.ceil(own - share);
  if (servers < 2 || own <= share * MAX_SHARES || excess < MIN_EXCESS) return 0;
  return Math.min(excess, Math.max(1, Math.floor(own * PART)));
}
