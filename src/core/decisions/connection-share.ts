/** Spreads the connections of agents over servers: decides how many of them a server closes. */

/** A server closes connections only if it has more than this many times its share. */
const MAX_SHARES = 1.5;
/** A server closes none if it has fewer than this many more than its share: a reconnect costs more than it gains. */
const MIN_EXCESS = 10;
/** The fraction of its connections that a server closes at once. It considers the rest later. */
const CLOSED_FRACTION = 0.02;

/** The number of its `own` connections, of `total` on `servers` servers, that a server closes now. Pure and total. */
export function excessConnections({ own, total, servers }: { own: number; total: number; servers: number }): number {
  const share = Math.max(own, total) / Math.max(1, servers);
  const excess = Math.ceil(own - share);
  if (servers < 2 || own <= share * MAX_SHARES || excess < MIN_EXCESS) return 0;
  return Math.min(excess, Math.max(1, Math.floor(own * CLOSED_FRACTION)));
}
