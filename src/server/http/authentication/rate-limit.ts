/** A token bucket for each key: a number of requests each second, with bursts of one second's requests. */
export interface RateLimiter {
  /** Takes one token. Returns 0, or the time until the next one, in ms. */
  take(key: string): number;
}

/** Creates a limiter. `perSecond` 0: no limit; `servers`: number of servers that share the limit. Full buckets are dropped. */
export function createRateLimiter(p: { perSecond: number; servers?: () => number; now: () => number }): RateLimiter {
  if (p.perSecond === 0) return { take: () => 0 };
  const emptiedUntil = new Map<string, number>();
  let sweepAt = p.now() + 60_000;
  return {
    take(key) {
      const now = p.now();
      const cost = (1000 / p.perSecond) * (p.servers?.() ?? 1);
      if (now >= sweepAt) {
        for (const [known, until] of emptiedUntil) if (until <= now) emptiedUntil.delete(known);
        sweepAt = now + 60_000;
      }
      const until = Math.max(emptiedUntil.get(key) ?? 0, now) + cost;
      if (until - now > Math.max(1000, cost)) return Math.ceil(until - now - Math.max(1000, cost));
      emptiedUntil.set(key, until);
      return 0;
    },
  };
}
