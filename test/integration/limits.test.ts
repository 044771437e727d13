/** Limits on memory, processors and processes of a command, and its usage, with the controllers that the machine has. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCgroupPool } from '../../src/agent/runner/spawner/cgroups.ts';
import { cli, Deployment } from '../helpers/harness.ts';

const pool = openCgroupPool();
const LIMITS = pool?.limits ?? new Set();
pool?.close();
const has = (...names: ('memoryBytes' | 'cpus' | 'pids')[]) => names.every((name) => LIMITS.has(name));

interface Usage {
  cpu_user_ms: number;
  cpu_system_ms: number;
  max_memory_bytes: number;
}

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

async function usageOf(executionId: string): Promise<Usage | undefined> {
  const query = { include: 'usage' };
  return (await deployment.client.ask<{ usage?: Usage }>('GET', deployment.machine.at(executionId), { query })).usage;
}

describe.each([
  ['memory', { memory_bytes: 64 * 1024 * 1024 }, has('memoryBytes')],
  ['processors', { cpus: 0.5 }, has('cpus')],
  ['processes', { pids: 100 }, has('pids')],
])('a limit on %s', (_name, limits, holds) => {
  test.skipIf(holds)(
    'is refused with a sentence if the machine cannot enforce it, and the command never starts',
    async () => {
      const execution = await deployment.machine.run({ command: ['/bin/true'], limits });
      expect(execution).toMatchObject({ status: 'failed', error_code: 'limits_unsupported' });
      expect(execution.error_message).toMatch(/^[A-Z].*\.$/);
      expect(execution.started_at).toBeUndefined();
    },
  );

  test.runIf(holds)('does not affect a command below it', async () => {
    expect(await deployment.machine.run({ command: ['/bin/true'], limits })).toMatchObject({ status: 'succeeded' });
  });
});

test.runIf(has('memoryBytes'))(
  'a command that needs more memory than its limit ends with oom_killed, and its usage has the peak',
  async () => {
    const limits = { memory_bytes: 64 * 1024 * 1024 };
    const hog = await deployment.machine.run({
      command: ['/bin/sh', '-c', 'head -c 500000000 /dev/zero | tail'],
      limits,
    });
    expect(hog).toMatchObject({ status: 'failed', error_code: 'oom_killed' });
    expect((await usageOf(hog.execution_id))?.max_memory_bytes).toBeLessThanOrEqual(limits.memory_bytes);
    const killed = await deployment.machine.run({ command: ['/bin/sh', '-c', 'kill -9 $$'], limits });
    expect(killed).toMatchObject({ status: 'failed', error_code: 'signaled', signal: 9 });
  },
);

test.runIf(has('pids'))('a command cannot start more processes than its limit', async () => {
  const script = 'i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done; exit 3';
  const execution = await deployment.machine.run({ command: ['/bin/sh', '-c', script], limits: { pids: 10 } });
  expect(execution.status).toBe('failed');
  expect((await deployment.machine.output(execution.execution_id)).stderr).toMatch(/fork/i);
});

test.runIf(has('cpus'))('a command cannot use more processor time than its limit', async () => {
  const burn = ['/bin/sh', '-c', 'end=$(($(date +%s)+3)); while [ $(date +%s) -lt $end ]; do :; done'];
  const { execution_id } = await deployment.machine.run({ command: burn, limits: { cpus: 0.2 } });
  const usage = await usageOf(execution_id);
  expect((usage?.cpu_user_ms ?? 0) + (usage?.cpu_system_ms ?? 0)).toBeLessThan(2000);
});

test.skipIf(has('memoryBytes', 'cpus', 'pids'))(
  'a ceiling in the policy that the machine cannot enforce refuses every command',
  async () => {
    const directory = deployment.agent.dir;
    const policy = { max_memory_bytes: 1e9, max_cpus: 1, max_pids: 1000 };
    writeFileSync(join(directory, 'policy.json'), JSON.stringify(policy), { mode: 0o600 });
    const refused = await deployment.machine.run({ command: ['/bin/true'] });
    expect(refused).toMatchObject({ status: 'failed', error_code: 'limits_unsupported' });
    writeFileSync(join(directory, 'policy.json'), '{}', { mode: 0o600 });
    expect(await deployment.machine.run({ command: ['/bin/true'] })).toMatchObject({ status: 'succeeded' });
  },
);

describe('usage', () => {
  test('counts the whole process tree, also children that nobody waited for', async () => {
    const burn = 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done';
    const alone = await deployment.machine.run({ command: ['/bin/sh', '-c', burn] });
    const script = `for child in 1 2; do ( ${burn}; echo done > done.$child ) & done; until [ -e done.1 -a -e done.2 ]; do sleep 0.05; done`;
    const together = await deployment.machine.run({ command: ['/bin/sh', '-c', script], cwd: deployment.dir });
    const [one, two] = [await usageOf(alone.execution_id), await usageOf(together.execution_id)];
    expect(one?.cpu_user_ms).toBeGreaterThan(0);
    expect(one?.max_memory_bytes).toBeGreaterThan(100_000);
    if (pool !== undefined) expect(two?.cpu_user_ms).toBeGreaterThan((one?.cpu_user_ms ?? 0) * 1.3);
  });

  test('of a running command is what it has used so far', async () => {
    const burn = 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo burned; read line';
    const body = { command: ['/bin/sh', '-c', burn], stdin_open: true };
    const { execution_id } = await deployment.machine.create(body);
    const at = deployment.machine.at(execution_id);
    const printed = async () => (await deployment.client.ask<{ stdout_bytes?: number }>('GET', at)).stdout_bytes;
    await expect.poll(printed, { timeout: 30_000 }).toBe('burned\n'.length);
    const running = await usageOf(execution_id);
    expect(running?.cpu_user_ms).toBeGreaterThan(0);
    expect(running?.max_memory_bytes).toBeGreaterThan(100_000);
    const env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
    const shown = await cli(['executions', 'show', 'dm-test', execution_id], env);
    expect(shown.stdout).toMatch(/^status +running$/m);
    expect(shown.stdout).toMatch(/^usage +\d+\.\d\d s user/m);
    await deployment.client.ask('DELETE', at, { query: { wait_ms: '30000' } });
    const ended = await usageOf(execution_id);
    expect(ended?.cpu_user_ms).toBeGreaterThanOrEqual(running?.cpu_user_ms ?? Number.NaN);
  });

  test('is only in answers that ask for it; executions show asks for it', async () => {
    const { execution_id, ...execution } = await deployment.machine.run({ command: ['/bin/true'] });
    expect(execution).not.toHaveProperty('usage');
    const env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
    const shown = await cli(['executions', 'show', 'dm-test', execution_id], env);
    expect(shown.stdout).toMatch(/^usage +\d+\.\d\d s user, \d+\.\d\d s system, \d+\.\d MiB memory/m);
  });
});

test('exec passes on --memory, --cpus and --pids, and reports their effect', async () => {
  const env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
  const flags = ['--memory', '512m', '--cpus', '0.5', '--pids', '64'];
  const { code, stderr } = await cli(['exec', ...flags, 'dm-test', '--', '/bin/true'], env);
  if (has('memoryBytes', 'cpus', 'pids')) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  else expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringMatching(/^execplane: .*limit/) });
});
