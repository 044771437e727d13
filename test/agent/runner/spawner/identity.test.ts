import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS, Stage } from './stage.ts';

const NOBODY = 65_534;

describe.runIf(process.getuid?.() === 0).each(KINDS)('another identity, %s', (kind) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(kind);
  });
  afterAll(() => stage.close());
  const nobody = { cwd: '/', identity: { uid: NOBODY, gid: NOBODY, groups: kind === 'node' ? [] : [4, 20] } };

  test('user, group and supplementary groups are its own and nothing of ours', async () => {
    const act = await stage.run(
      ['sh', '-c', 'grep -E "^(Uid|Gid|Groups|CapEff)" /proc/self/status | tr -s "\\t " " "'],
      nobody,
    );
    const four = `${NOBODY} ${NOBODY} ${NOBODY} ${NOBODY}`;
    const groups = kind === 'node' ? '' : '4 20 ';
    expect(act.out).toBe(`Uid: ${four}\nGid: ${four}\nGroups: ${groups}\nCapEff: 0000000000000000\n`);
  });

  test('it can open its own streams again by path', async () => {
    const act = await stage.run(['sh', '-c', 'echo one > /dev/stderr; echo two > /dev/stdout'], nobody);
    expect([act.out, act.err, act.end?.exitCode]).toEqual(['two\n', 'one\n', 0]);
  });

  // Node changes the directory before the user.
  test.skipIf(kind === 'node')('a directory that it may not use is refused', async () => {
    expect((await stage.run(['true'], { ...nobody, cwd: stage.scratchDir })).failure).toEqual({
      stage: 'cwd',
      errno: 'EACCES',
    });
  });

  test('it is killed like any other', async () => {
    const act = stage.start(['sleep', '600'], nobody);
    await act.started.promise;
    await stage.spawner.killTree(act.handle);
    await act.over.promise;
    expect(act.end).toMatchObject({ signal: 9 });
  });
});
