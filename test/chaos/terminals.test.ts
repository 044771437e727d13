/** Types into terminals while link, server and connections are killed (faults 61 and 62). `TERMINAL_SEEDS=1-30` runs more seeds. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Deployment } from '../helpers/harness.ts';
import { Balancer } from '../helpers/balancer.ts';
import { FaultyProxy } from './proxy.ts';
import { seedsOr, typeUnderFaults, type TypingScene } from './terminals.ts';

const SEEDS = seedsOr([1, 2]);

describe('a terminal that is used while link, server and connections are killed', () => {
  let deployment: Deployment;
  let toTypist: Balancer;
  let toClient: FaultyProxy;
  let toAgent: FaultyProxy;
  let scene: TypingScene;
  beforeAll(async () => {
    deployment = await Deployment.start({ machine: null });
    toTypist = await Balancer.start([deployment.server.port]);
    toClient = await FaultyProxy.start(deployment.server.port);
    toAgent = await FaultyProxy.start(deployment.server.port);
    await deployment.join('dm-test', { EXECPLANE_URL: toAgent.url });
    scene = {
      dir: deployment.dir,
      machineId: 'dm-test',
      apiKey: deployment.server.key,
      urls: [toTypist.url, deployment.server.url, toClient.url],
      faults: {
        'the clients are cut': async () => {
          toTypist.cut();
          toClient.cut();
        },
        'the connection of the client that types goes silent': async () => toTypist.drop(),
        'the link is cut': async () => {
          toAgent.cut();
          await deployment.connected();
        },
        'the link is killed': async () => {
          await deployment.agent.killLink();
          deployment.agent.restart();
          await deployment.connected();
        },
        'the server is killed': async () => {
          await deployment.server.kill();
          await deployment.server.restart();
          await deployment.connected();
        },
      },
    };
  });
  afterAll(async () => {
    await deployment.dispose();
    await Promise.all([toTypist.close(), toClient.close(), toAgent.close()]);
  });

  test.each(SEEDS)(
    'seed %d: each client sees everything that was printed, no byte lost or repeated; all input arrives, once and in order',
    { timeout: 180_000 },
    async (seed) => {
      const { plan, errors } = await typeUnderFaults(scene, seed);
      expect(errors, plan.join(', ')).toEqual([]);
    },
  );
});
