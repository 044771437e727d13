/** `npm run test:chaos -- --seeds 50 [--seed 1] [--ms 5000] [--logs DIR]`: many seeds, one after the other; stops at nothing. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runChaos } from './run.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    ms: { type: 'string', default: '5000' },
    /** Where the logs of failed runs are written. */
    logs: { type: 'string' },
  },
});

const first = Number(values.seed);
const failed: number[] = [];
let executions = 0;
let lost = 0;

for (let seed = first; seed < first + Number(values.seeds); seed += 1) {
  const began = performance.now();
  const result = await runChaos(seed, Number(values.ms));
  executions += result.executions;
  lost += result.lost;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const verdict = result.faults.length === 0 ? 'ok' : 'FAILED';
  console.log(`seed ${seed}: ${verdict}, ${result.executions} executions, ${result.lost} lost, ${seconds} s`);
  if (result.faults.length === 0) continue;
  failed.push(seed);
  for (const line of [...result.plan, ...result.faults]) console.log(`  ${line}`);
  if (values.logs !== undefined) {
    mkdirSync(values.logs, { recursive: true });
    writeFileSync(join(values.logs, `seed-${seed}.log`), result.log);
  }
}

console.log(
  `${executions} executions, ${lost} of them agent_lost (a runner was killed), failed seeds: ${failed.join(', ') || 'none'}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
