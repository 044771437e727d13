/**
 * `npm run test:chaos -- --seeds 50 [--seed 1] [--ms 5000] [--logs DIR] [--cluster]` runs many seeds, one after the other, also after
 * a failed seed. With `--cluster` the run uses three servers on one PostgreSQL: 25 seeds with connections between them, then 25 without.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runClusterChaos } from './cluster/run.ts';
import { ClusterDeployment } from './cluster/deployment.ts';
import { type ChaosResult, runChaos } from './run.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    ms: { type: 'string', default: '5000' },
    /** The directory for the logs of failed runs. */
    logs: { type: 'string' },
    cluster: { type: 'boolean', default: false },
  },
});

/** The number of seeds that share one deployment. A seed that finds an error ends the deployment earlier. */
const SEEDS_A_DEPLOYMENT = 25;

const first = Number(values.seed);
const failed: number[] = [];
let executions = 0;
let lost = 0;
let deployment: ClusterDeployment | undefined;
let deployments = 0;

for (let seed = first; seed < first + Number(values.seeds); seed += 1) {
  const began = performance.now();
  const result = values.cluster ? await playCluster(seed) : await runChaos(seed, Number(values.ms));
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
await deployment?.dispose();

const cause = values.cluster ? '' : ' (a runner was killed)';
console.log(
  `${executions} executions, ${lost} of them agent_lost${cause}, failed seeds: ${failed.join(', ') || 'none'}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

async function playCluster(seed: number): Promise<ChaosResult> {
  deployment ??= await ClusterDeployment.start({ isLinked: deployments % 2 === 0 });
  const result = await runClusterChaos(deployment, seed, Number(values.ms));
  if (result.faults.length > 0 || (seed - first + 1) % SEEDS_A_DEPLOYMENT === 0) {
    await deployment.dispose();
    deployments += 1;
    deployment = undefined;
  }
  return result;
}
