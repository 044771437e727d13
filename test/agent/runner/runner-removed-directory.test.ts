import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { hostUser } from '../../../src/agent/runner/executions/host-user.ts';
import { ALLOW_ALL } from '../../../src/agent/runner/policy/policy.ts';
import { Runner } from '../../../src/agent/runner/runner.ts';
import { startSpawner } from '../../../src/agent/runner/spawner/index.ts';
import { agentDirectory, attach } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

test('a runner whose directory was removed starts no command, and reports the reason', async () => {
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

test('a command that runs while the directory is removed loses no output, and its end is reported', async () => {
  const directory = agentDirectory();
  const signals = mkdtempSync(join(tmpdir(), 'execplane-signals-'));
  onTestFinished(() => rmSync(signals, { recursive: true }));
  const runner = new Runner({
    log: { warn: () => {} },
    directory,
    hostUser: hostUser({ PATH: '/usr/bin:/bin' }),
    policy: ALLOW_ALL,
    startSpawner: (events) => startSpawner({ events, scratchDir: directory }),
    segmentBytes: 65_536,
  });
  await runner.start();
  onTestFinished(async () => {
    runner.stop(0);
    await runner.left;
  });
  const link = await attach(directory);
  const script = `echo ready; until [ -e ${signals}/go ]; do sleep 0.02; done; seq 1 200000; echo end >&2`;
  link.start('running', ['/bin/sh', '-c', script], { cwd: '/' });
  await link.printed('running', 'ready');
  rmSync(directory, { recursive: true });
  writeFileSync(join(signals, 'go'), '');
  const { ended, stdout, stderr } = await link.ended('running');
  const numbers = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('');
  expect(stdout.toString() === `ready\n${numbers}`).toBe(true);
  expect(stderr.toString()).toBe('end\n');
  expect(ended).toMatchObject({ status: 'succeeded', exit_code: 0 });
});
