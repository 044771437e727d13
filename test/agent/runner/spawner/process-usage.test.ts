import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { usageOfProcesses } from '../../../../src/agent/runner/spawner/process-usage.ts';

const BURN = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done';

/** Starts a shell that runs `script`, prints a line after it, and waits. */
async function afterRunning(script: string) {
  const child = spawn('/bin/sh', ['-c', `${script}; echo done; read line`], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

test.skipIf(process.platform !== 'linux')(
  'the usage of processes is their sum, with the children that they waited for',
  async () => {
    await using busy = await afterRunning(BURN);
    await using parent = await afterRunning(`(${BURN}); true`);
    const [alone, waited] = [usageOfProcesses([busy.pid]), usageOfProcesses([parent.pid])];
    expect(alone?.cpuUserMs).toBeGreaterThan(0);
    expect(waited?.cpuUserMs).toBeGreaterThan(0);
    const both = usageOfProcesses([busy.pid, parent.pid]);
    expect(both?.cpuUserMs).toBe((alone?.cpuUserMs ?? 0) + (waited?.cpuUserMs ?? 0));
    expect(both?.maxMemoryBytes).toBe(Math.max(alone?.maxMemoryBytes ?? 0, waited?.maxMemoryBytes ?? 0));
    expect(both?.maxMemoryBytes).toBeGreaterThan(100_000);
  },
);

test('processes that have ended have no usage', () => {
  expect(usageOfProcesses([])).toBeUndefined();
  expect(usageOfProcesses([2 ** 22 + 1])).toBeUndefined();
});
