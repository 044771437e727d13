/** A seed of the chaos run over three servers on one PostgreSQL (fault 51); the long run is `npm run test:chaos -- --cluster`. */
import { expect, onTestFinished, test } from 'vitest';
import { runClusterChaos } from './cluster/run.ts';
import { ClusterDeployment } from './cluster/deployment.ts';

test('seed 7: servers are killed every 3 s, the database crashes: acknowledged executions exist, ran once, and are complete', async () => {
  const deployment = await ClusterDeployment.start();
  onTestFinished(() => deployment.dispose());
  const { executions, faults, plan, log } = await runClusterChaos(deployment, 7, 4000);
  expect(executions).toBeGreaterThan(0);
  expect(faults, `${plan.join('\n')}\n${log.slice(-10_000)}`).toEqual([]);
}, 300_000);
