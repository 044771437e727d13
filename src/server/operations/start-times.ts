/** Counts the times that executions wait for their start in classes, so that counts of minutes and servers can be added up. */

/** Upper bounds of the classes, in ms. The last one is open. */
const BOUNDS = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 3_600_000] as const;
const PREFIX = 'start_';
const OPEN = `${PREFIX}more`;

/** Returns the name of the class for a wait of this many ms. */
export function startName(ms: number): string {
  const bound = BOUNDS.find((upper) => ms <= upper);
  return bound === undefined ? OPEN : `${PREFIX}${bound}`;
}

/** Returns the wait, in ms, that a share of the executions did not exceed: the bound of its class. `undefined` if none started. */
export function startPercentile(counts: ReadonlyMap<string, number>, share: number): number | undefined {
  const names = [...BOUNDS.map((bound) => [`${PREFIX}${bound}`, bound] as const), [OPEN, 2 * 3_600_000] as const];
  const total = names.reduce((sum, [name]) => sum + (counts.get(name) ?? 0), 0);
  let counted = 0;
  for (const [name, bound] of names) {
    counted += counts.get(name) ?? 0;
    if (total > 0 && counted >= total * share) return bound;
  }
  return undefined;
}
