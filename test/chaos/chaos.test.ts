/** A few seeds of the chaos run, the last with a runner killed; the long run is `npm run test:chaos`. */
import { expect, test } from 'vitest';
import { runChaos } from './run.ts';

test.each([1, 3, 8])(
  'seed %d: nothing is lost, nothing runs twice, nothing is left',
  { timeout: 180_000 },
  async (seed) => {
    const { executions, faults, plan } = await runChaos(seed, 2500);
    expect(executions).toBeGreaterThan(0);
    expect(faults, plan.join('\n')).toEqual([]);
  },
);
