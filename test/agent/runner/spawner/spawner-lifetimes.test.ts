import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCgroupPool } from '../../../../src/agent/runner/spawner/cgroups.ts';
import { type ProcessRow, processIds, processRow } from '../../../../src/node/process-table.ts';
import { makeDirectory, removeDirectory } from '../../../helpers/directories.ts';
import { isAlive, Started, until } from '../../../helpers/processes.ts';
import { FIXTURES, KINDS, SpawnerHarness } from './spawner-harness.ts';

const pool = openCgroupPool();
pool?.close();

const children = (parent: number): ProcessRow[] =>
  processIds().flatMap((pid) => {
    const row = processRow(pid);
    return row?.parent === parent ? [row] : [];
  });
const nameOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
};
/** The pid of the newest spawner. An older one can still be exiting. */
const spawnerOf = (runner: number): number =>
  children(runner)
    .filter((row) => nameOf(row.pid) === 'execplane-spawn')
    .sort((a, b) => Number(b.startTime) - Number(a.startTime))[0]?.pid ?? 0;
const open = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

describe.each(KINDS)('%s', (kind) => {
  const rounds = kind === 'node' ? 200 : 2000;
  test(`${rounds} commands leave neither zombies nor descriptors nor memory`, { timeout: 120_000 }, async () => {
    const harness = await SpawnerHarness.open(kind);
    const owner = kind === 'node' ? process.pid : spawnerOf(process.pid);
    const some = (count: number) =>
      Promise.all(
        Array.from({ length: 10 }, async () => {
          for (let i = 0; i < count / 10; i++) {
            const command = harness.start(i % 7 === 0 ? ['/nonexistent'] : ['/bin/true'], {
              stdin: i % 2 ? 'pipe' : 'none',
            });
            await command.over.promise;
            harness.spawner.release(command.handle);
            harness.commands.delete(command.handle);
          }
        }),
      );
    await some(100);
    await until('the first are gone', () => children(owner).every((row) => !row.ended));
    const before = open(owner);
    await some(rounds);
    await until('no zombie is left', () => children(owner).every((row) => !row.ended));
    await until('no descriptor is left', () => open(owner) <= before);
    if (kind !== 'node') {
      const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${owner}/status`, 'utf8'))?.[1]);
      expect(resident).toBeLessThan(8000);
    }
    await harness.close();
  });

  test('close leaves a process that drains the pipes of background processes, and exits after them', async () => {
    const harness = await SpawnerHarness.open(kind);
    const spawner = spawnerOf(process.pid);
    const command = await harness.run([`${FIXTURES}/background-writer.sh`, harness.scratchDir]);
    harness.spawner.release(command.handle);
    await harness.spawner.close();
    expect(isAlive(Number(command.out))).toBe(true);
    writeFileSync(join(harness.scratchDir, 'go'), '');
    await until('it has written', () => readdirSync(harness.scratchDir).includes('verdict'));
    expect(readFileSync(join(harness.scratchDir, 'verdict'), 'utf8')).toBe('written 0 0\n');
    if (spawner > 0) await until('the drain is gone', () => !isAlive(spawner));
    await removeDirectory(harness.scratchDir);
  });
});

describe.runIf(process.platform === 'linux')('a death', () => {
  test.each(pool ? ['cgroups', 'bare'] : ['bare'])(
    'of the runner ends its running commands, and only those (%s)',
    async (mode) => {
      const directory = makeDirectory('death');
      const runner = new Started(process.execPath, [`${FIXTURES}/runner.ts`, directory, mode], {
        PATH: '/usr/bin:/bin',
      });
      await until('its commands run', () => runner.stdout.includes('ready'));
      const spawner = spawnerOf(runner.pid);
      const names = ['stubborn', 'session', 'orphan', ...(mode === 'cgroups' ? ['shed'] : [])];
      const pids = names.map((name) => Number(readFileSync(join(directory, name), 'utf8')));
      const writer = Number(/ready (\d+)/.exec(runner.stdout)?.[1]);
      expect(pids.filter(isAlive)).toEqual(pids);

      await runner.end('SIGKILL');
      await until('its commands are gone', () => !pids.some(isAlive));
      expect([isAlive(writer), isAlive(spawner)]).toEqual([true, true]);
      writeFileSync(join(directory, 'go'), '');
      await until('the background process has written', () => readdirSync(directory).includes('verdict'));
      expect(readFileSync(join(directory, 'verdict'), 'utf8')).toBe('written 0 0\n');
      await until('the spawner is gone', () => !isAlive(spawner));
      await removeDirectory(directory);
    },
  );

  test.each(['native', 'bare'] as const)(
    'of the spawner is reported, and ends its running commands (%s)',
    async (kind) => {
      const harness = await SpawnerHarness.open(kind);
      const command = harness.start([
        'sh',
        '-c',
        'trap "" PIPE TERM; setsid sleep 600 & echo $!; while :; do sleep 0.05; done',
      ]);
      await command.when(() => command.out.includes('\n'));
      process.kill(spawnerOf(process.pid), 'SIGKILL');
      expect(await harness.lost.promise).toContain('SIGKILL');
      await until('the tree is gone', () => !isAlive(command.pid) && !isAlive(Number(command.out)));
      await harness.close();
    },
  );
});
