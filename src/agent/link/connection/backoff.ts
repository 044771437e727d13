/** Computes delays before an agent reconnects. Random numbers are parameters, so that tests can choose them. */

const BASE_MS = 250;
/** Maximum delay. With the time limit of a connection attempt, an agent is back within 30 s of the server. */
const CAP_MS = 10_000;
const RESTART_MS = 2_000;
const REFUSED_MS = 30_000;

/** Returns the ms before attempt `failures + 1`: full jitter under an exponential ceiling, which spreads 5,000 agents. */
export function backoffDelay(failures: number, random: number): number {
  return Math.round(random * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures, 16)));
}

/** Returns the ms to wait after a server announced its restart: short, and different for each agent. */
export function restartDelay(random: number): number {
  return Math.round(random * RESTART_MS);
}

/** Returns the ms to wait after a refusal that only a person can lift: 30 to 60 s. */
export function refusedDelay(random: number): number {
  return Math.round(REFUSED_MS + random * REFUSED_MS);
}
