import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KINDS, SpawnerHarness } from './spawner-harness.ts';

const NOBODY = 65_534;

describe.runIf(process.getuid?.() === 0).each(KINDS)('another identity, %s', (kind) => {
  let harness: SpawnerHarness;
  beforeAll(async () => {
    harness = await SpawnerHarness.open(kind);
  });
  afterAll(() => harness.close());
  const nobody = { cwd: '/', identity: { uid: NOBODY, gid: NOBODY, groups: kind === 'node' ? [] : [4, 20] } };

  test('has the user, group and supplementary groups of the user, and none of the agent', async () => {
    const command = await harness.run(
      ['sh', '-c', 'grep -E "^(Uid|Gid|Groups|CapEff)" /proc/self/status | tr -s "\\t " " "'],
      nobody,
    );
    const four = `${NOBODY} ${NOBODY} ${NOBODY} ${NOBODY}`;
    const groups = kind === 'node' ? '' : '4 20 ';
    expect(command.out).toBe(`Uid: ${four}\nGid: ${four}\nGroups: ${groups}\nCapEff: 0000000000000000\n`);
  });

  test('can open its own streams again by path', async () => {
    const command = await harness.run(['sh', '-c', 'echo one > /dev/stderr; echo two > /dev/stdout'], nobody);
    expect([command.out, command.err, command.end?.exitCode]).toEqual(['two\n', 'one\n', 0]);
  });

  // Node changes the directory before the user.
  test.skipIf(kind === 'node')('cannot start in a directory that it may not use', async () => {
    expect((await harness.run(['true'], { ...nobody, cwd: harness.scratchDir })).failure).toEqual({
      stage: 'cwd',
      errno: 'EACCES',
    });
  });

  test('is killed like any other', async () => {
    const command = harness.start(['sleep', '600'], nobody);
    await command.started.promise;
    await harness.spawner.killTree(command.handle);
    await command.over.promise;
    expect(command.end).toMatchObject({ signal: 9 });
  });
});
