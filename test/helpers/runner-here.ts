/** Runs a runner in the process of the test. */
import { onTestFinished } from 'vitest';
import { hostUser } from '../../src/agent/runner/executions/host-user.ts';
import { ALLOW_ALL } from '../../src/agent/runner/policy/policy.ts';
import { Runner, type RunnerOptions } from '../../src/agent/runner/runner.ts';
import { startSpawner } from '../../src/agent/runner/spawner/index.ts';
import { agentDirectory } from './runner-process.ts';

/** Starts a runner in this process, so that a test can make its disk fail. Stops it after the test. Returns its directory. */
export async function runnerHere(options: Partial<RunnerOptions> = {}): Promise<string> {
  const directory = agentDirectory();
  const runner = new Runner({
    log: { warn: () => {} },
    directory,
    hostUser: hostUser({ PATH: '/usr/bin:/bin' }),
    policy: ALLOW_ALL,
    startSpawner: (events) => startSpawner({ events, scratchDir: directory }),
    ...options,
  });
  await runner.start();
  onTestFinished(async () => {
    runner.stop(0);
    await runner.left;
  });
  return directory;
}
