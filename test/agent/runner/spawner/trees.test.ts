import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCgroupPool } from '../../../../src/agent/runner/spawner/cgroups.ts';
import { isAlive, processesWith, Started } from '../../../helpers/processes.ts';
import { type Act, FIXTURES, KINDS, Stage } from './stage.ts';

const pool = openCgroupPool();
pool?.close();

describe.each(KINDS)('the process tree of a command, %s', (kind) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(kind);
  });
  afterAll(() => stage.close());
  /** Only a cgroup holds what sheds every mark. */
  const shed = kind === 'native' && pool ? ['shed'] : [];

  const escapees = async (): Promise<{ act: Act; pids: number[] }> => {
    const directory = mkdtempSync(join(stage.scratchDir, 'escapees-'));
    const act = stage.start([`${FIXTURES}/escapees.sh`, directory, ...shed]);
    await act.when(() => act.out === 'ready\n');
    const pids = ['stubborn', 'session', 'orphan', ...shed].map((name) =>
      Number(readFileSync(join(directory, name), 'utf8')),
    );
    return { act, pids: [act.pid, ...pids] };
  };

  test('killTree ends all of it, whatever it did to escape', async () => {
    const { act, pids } = await escapees();
    expect(pids.filter(isAlive)).toEqual(pids);
    expect(await stage.spawner.treeAlive(act.handle)).toBe(true);
    await stage.spawner.killTree(act.handle);
    expect(pids.filter(isAlive)).toEqual([]);
    await act.over.promise;
    expect(act.end).toMatchObject({ signal: 9 });
    expect(await stage.spawner.treeAlive(act.handle)).toBe(false);
  });

  test('killTree after the end of the main process ends what that left behind', async () => {
    const { act, pids } = await escapees();
    process.kill(act.pid, 'SIGKILL');
    await act.over.promise;
    expect(pids.filter(isAlive)).toEqual(pids.slice(1));
    expect(await stage.spawner.treeAlive(act.handle)).toBe(true);
    await stage.spawner.killTree(act.handle);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('killTree touches nobody else, also when it comes right after the start, or twice', async () => {
    const other = stage.start(['sleep', '600']);
    await other.started.promise;
    const act = stage.start(['sleep', '600']);
    await Promise.all([stage.spawner.killTree(act.handle), stage.spawner.killTree(act.handle)]);
    await act.over.promise;
    expect(isAlive(other.pid)).toBe(true);
    await stage.spawner.killTree(other.handle);
    await other.over.promise;
  });

  test('a tree that keeps forking is ended', async () => {
    const act = stage.start([`${FIXTURES}/fork-loop.sh`, stage.scratchDir]);
    await act.when(() => act.out === 'ready\n');
    await stage.spawner.killTree(act.handle);
    await act.over.promise;
    expect(processesWith(`EXECUTION_ID=${act.executionId}`)).toEqual([]);
  });

  test('also on a busy machine, where every look at the process table comes late', async () => {
    const busy = [1, 2].map(() => new Started(process.execPath, ['-e', 'for (;;);'], {}));
    try {
      for (let round = 0; round < 3; round++) {
        const act = stage.start([`${FIXTURES}/fork-loop.sh`, mkdtempSync(join(stage.scratchDir, 'forks-'))]);
        await act.when(() => act.out === 'ready\n');
        await stage.spawner.killTree(act.handle);
        await act.over.promise;
        expect(processesWith(`EXECUTION_ID=${act.executionId}`)).toEqual([]);
      }
    } finally {
      for (const one of busy) await one.end('SIGKILL');
    }
  });

  test('what is left running after release is left alone', async () => {
    const act = await stage.run(['sh', '-c', 'sleep 600 >/dev/null 2>&1 & echo $!']);
    const pid = Number(act.out);
    stage.spawner.release(act.handle);
    for (let i = 0; i < 20; i++) stage.spawner.release((await stage.run(['true'])).handle);
    const victim = stage.start(['sleep', '600']);
    await stage.spawner.killTree(victim.handle);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGKILL');
  });
});
