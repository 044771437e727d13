import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCgroupPool } from '../../../../src/agent/runner/spawner/cgroups.ts';
import { isAlive, Started } from '../../../helpers/processes.ts';
import { type RunningCommand, FIXTURES, KINDS, SpawnerHarness } from './spawner-harness.ts';

const pool = openCgroupPool();
pool?.close();

const leaver = join(mkdtempSync(join(tmpdir(), 'execplane-leaver-')), 'leaver');
const compiled = compile();

function compile(): boolean {
  try {
    execFileSync('cc', ['-pthread', '-o', leaver, `${FIXTURES}/leaving-main-thread.c`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.each(KINDS)('the process tree of a command, %s', (kind) => {
  let harness: SpawnerHarness;
  beforeAll(async () => {
    harness = await SpawnerHarness.open(kind);
  });
  afterAll(() => harness.close());
  /** Only a cgroup finds a process that has removed every mark. */
  const shed = kind === 'native' && pool ? ['shed'] : [];

  const escapees = async (): Promise<{ command: RunningCommand; pids: number[] }> => {
    const directory = mkdtempSync(join(harness.scratchDir, 'escapees-'));
    const command = harness.start([`${FIXTURES}/escapees.sh`, directory, ...shed]);
    await command.when(() => command.out === 'ready\n');
    const pids = ['stubborn', 'session', 'orphan', ...shed].map((name) =>
      Number(readFileSync(join(directory, name), 'utf8')),
    );
    return { command, pids: [command.pid, ...pids] };
  };

  /** A tree that keeps forking. `ended` settles when none of its processes is left: each search of the process table could miss them all. */
  const forking = async (): Promise<{ command: RunningCommand; ended: Promise<unknown> }> => {
    const directory = mkdtempSync(join(harness.scratchDir, 'forks-'));
    execFileSync('mkfifo', [join(directory, 'alive')]);
    const ended = once(createReadStream(join(directory, 'alive')).resume(), 'end');
    const command = harness.start([`${FIXTURES}/fork-loop.sh`, directory]);
    await command.when(() => command.out === 'ready\n');
    return { command, ended };
  };

  test('killTree ends all processes, however they tried to escape', async () => {
    const { command, pids } = await escapees();
    expect(pids.filter(isAlive)).toEqual(pids);
    expect(await harness.spawner.treeAlive(command.handle)).toBe(true);
    await harness.spawner.killTree(command.handle);
    expect(pids.filter(isAlive)).toEqual([]);
    await command.over.promise;
    expect(command.end).toMatchObject({ signal: 9 });
    expect(await harness.spawner.treeAlive(command.handle)).toBe(false);
  });

  test('killTree after the end of the main process ends the remaining processes', async () => {
    const { command, pids } = await escapees();
    process.kill(command.pid, 'SIGKILL');
    await command.over.promise;
    expect(pids.filter(isAlive)).toEqual(pids.slice(1));
    expect(await harness.spawner.treeAlive(command.handle)).toBe(true);
    await harness.spawner.killTree(command.handle);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('killTree affects no other process, not even right after the start or when repeated', async () => {
    const other = harness.start(['sleep', '600']);
    await other.started.promise;
    const command = harness.start(['sleep', '600']);
    await Promise.all([harness.spawner.killTree(command.handle), harness.spawner.killTree(command.handle)]);
    await command.over.promise;
    expect(isAlive(other.pid)).toBe(true);
    await harness.spawner.killTree(other.handle);
    await other.over.promise;
  });

  test('a tree that keeps forking is ended', async () => {
    const { command, ended } = await forking();
    await harness.spawner.killTree(command.handle);
    await command.over.promise;
    await ended;
  });

  test('a tree is ended on a busy machine, when every look at the process table is late', async () => {
    const busy = [1, 2].map(() => new Started(process.execPath, ['-e', 'for (;;);'], {}));
    try {
      for (let round = 0; round < 3; round++) {
        const { command, ended } = await forking();
        await harness.spawner.killTree(command.handle);
        await command.over.promise;
        await ended;
      }
    } finally {
      for (const one of busy) await one.end('SIGKILL');
    }
  });

  test.runIf(compiled)('a process whose main thread has exited is ended', async () => {
    const command = harness.start([leaver]);
    await command.when(() => command.out === 'ready\n');
    await harness.spawner.killTree(command.handle);
    await command.over.promise;
    expect(command.end).toMatchObject({ signal: 9 });
  });

  test('the marker is found after a large environment', async () => {
    const env = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`LARGE_${i}`, 'x'.repeat(20_000)]));
    const command = harness.start(
      ['sh', '-c', 'setsid sh -c "sh -c \'echo \\$\\$; exec sleep 600\' & exit 0"; exec sleep 600'],
      { env },
    );
    await command.when(() => command.out.endsWith('\n'));
    const pid = Number(command.out);
    await harness.spawner.killTree(command.handle);
    expect(isAlive(pid)).toBe(false);
  });

  test('processes that run after release are left alone', async () => {
    const command = await harness.run(['sh', '-c', 'sleep 600 >/dev/null 2>&1 & echo $!']);
    const pid = Number(command.out);
    harness.spawner.release(command.handle);
    for (let i = 0; i < 20; i++) harness.spawner.release((await harness.run(['true'])).handle);
    const victim = harness.start(['sleep', '600']);
    await harness.spawner.killTree(victim.handle);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });
});
