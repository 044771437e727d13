import { renameSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { hostUser } from '../../../src/agent/runner/executions/host-user.ts';
import { ALLOW_ALL } from '../../../src/agent/runner/policy/policy.ts';
import { Runner } from '../../../src/agent/runner/runner.ts';
import { startSpawner } from '../../../src/agent/runner/spawner/index.ts';
import { agentDirectory, attach } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

test('once its directory is removed, a runner starts no command, and reports the reason', async () => {
  const directory = agentDirectory();
  const runner = new Runner({
    log: { warn: () => {} },
    directory,
    hostUser: hostUser({ PATH: '/usr/bin:/bin' }),
    policy: ALLOW_ALL,
    startSpawner: (events) => startSpawner({ events, scratchDir: directory }),
  });
  await runner.start();
  onTestFinished(async () => {
    renameSync(`${directory}-away`, directory);
    runner.stop(0);
    await runner.left;
  });
  const link = await attach(directory);
  expect((await link.run('before', ['/bin/true'])).ended.status).toBe('succeeded');
  renameSync(directory, `${directory}-away`);
  expect((await link.run('after', ['/bin/true'])).ended).toMatchObject({
    status: 'failed',
    error_code: 'spawn_failed',
    error_message: expect.stringContaining(`(${directory}) was removed`),
  });
});
