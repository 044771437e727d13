/** Delays before an agent dials again. Random numbers are passed in, so that tests can choose them. */

const BASE_MS = 250;
/** Together with the time that a dial may take, this keeps the promise "back within 30 s of the server". */
const CAP_MS = 10_000;
const RESTART_MS = 2_000;
const REFUSED_MS = 30_000;

/** ms before attempt `failures + 1`: full jitter under an exponential ceiling, so that 5,000 agents spread out. */
export function backoffDelay(failures: number, random: number): number {
  return Math.round(random * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(failures, 16)));
}

/** ms to wait after a server announced its restart: soon, but not all agents at once. */
export function restartDelay(random: number): number {
  return Math.round(random * RESTART_MS);
}

/** ms to wait after a refusal that only a person can lift: slowly, without end (30 to 60 s). */
export function refusedDelay(random: number): number {
  return Math.round(REFUSED_MS + random * REFUSED_MS);
}
