/** The seed of a fuzz run. It is constant, so that a failure can be reproduced. FUZZ_SEED sets another seed. */
export const SEED = Number(process.env['FUZZ_SEED'] ?? 20_260_131);

/** The number of requests; FUZZ_CASES=10000 for a long run. */
export const HTTP_CASES = Number(process.env['FUZZ_CASES'] ?? 3000);

/** Prints the seed. */
export function announceSeed(what: string, cases: number): void {
  process.stdout.write(`${what}: ${cases} cases, FUZZ_SEED=${SEED}\n`);
}
