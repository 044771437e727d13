/** Terminals under input while link, server and connections are killed (faults 61 and 62); `TERMINAL_SEEDS=30` runs more seeds. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { World } from '../helpers/harness.ts';
import { FaultyProxy } from './proxy.ts';
import { typeUnderFaults, type TypingScene } from './terminals.ts';

const SEEDS = Array.from({ length: Number(process.env['TERMINAL_SEEDS'] ?? 2) }, (_, index) => index + 1);

describe('a terminal that is used while link, server and connections are killed', () => {
  let world: World;
  let toClient: FaultyProxy;
  let toAgent: FaultyProxy;
  let scene: TypingScene;
  beforeAll(async () => {
    world = await World.start({ machine: null });
    toClient = await FaultyProxy.start(world.server.port);
    toAgent = await FaultyProxy.start(world.server.port);
    await world.join('dm-test', { EXECPLANE_URL: toAgent.url });
    scene = {
      dir: world.dir,
      machineId: 'dm-test',
      apiKey: world.server.key,
      urls: [toClient.url, world.server.url, toClient.url],
      faults: {
        'the client is cut': async () => toClient.cut(),
        'the link is cut': async () => {
          toAgent.cut();
          await world.connected();
        },
        'the link is killed': async () => {
          await world.agent.killLink();
          world.agent.restart();
          await world.connected();
        },
        'the server is killed': async () => {
          await world.server.kill();
          await world.server.restart();
          await world.connected();
        },
      },
    };
  });
  afterAll(async () => {
    await world.dispose();
    await Promise.all([toClient.close(), toAgent.close()]);
  });

  test.each(SEEDS)(
    'seed %d: each client sees everything that was printed, no byte lost or repeated; no input arrives twice',
    { timeout: 180_000 },
    async (seed) => {
      const { plan, errors } = await typeUnderFaults(scene, seed);
      expect(errors, plan.join(', ')).toEqual([]);
    },
  );
});
