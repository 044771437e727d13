/** Types into terminals while servers, links, connections and the database are killed, over three servers. `TERMINAL_SEEDS=1-30` runs more seeds. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Balancer } from '../helpers/balancer.ts';
import { ClusterDeployment } from './cluster/deployment.ts';
import { seedsOr, typeUnderFaults, type TypingScene } from './terminals.ts';

const SEEDS = seedsOr([1]);

describe('a terminal that is used over several servers while these, links and connections are killed', () => {
  let deployment: ClusterDeployment;
  let front: Balancer;
  let toTypist: Balancer;
  let scene: TypingScene;
  beforeAll(async () => {
    deployment = await ClusterDeployment.start();
    front = await Balancer.start(deployment.servers.map(({ port }) => port));
    toTypist = await Balancer.start(deployment.servers.map(({ port }) => port));
    const agent = deployment.agent(0);
    const revive = async (): Promise<void> => {
      for (const server of deployment.servers) if (!server.process.running) await server.restart();
      await deployment.connected();
    };
    const killServer = (index: number) => async (): Promise<void> => {
      await deployment.server(index).kill();
      await revive();
    };
    scene = {
      dir: deployment.dir,
      machineId: agent.machineId,
      apiKey: deployment.server(0).key,
      urls: [toTypist.url, deployment.server(1).url, front.url],
      faults: {
        'the clients are cut': async () => {
          toTypist.cut();
          front.cut();
        },
        'the connection of the client that types goes silent': async () => toTypist.drop(),
        'the links are cut': async () => {
          deployment.links.cut();
          await deployment.connected();
        },
        'the link is killed': async () => {
          await agent.killLink();
          agent.restart();
          await deployment.connected();
        },
        'the first server is killed': killServer(0),
        'the second server is killed': killServer(1),
        'the third server is killed': killServer(2),
        'a server loses its connections to the database': async () => deployment.database(1).cut(),
        'the database crashes': async () => {
          await deployment.postgres.halt('immediate');
          await deployment.postgres.run();
          await revive();
        },
      },
    };
  });
  afterAll(async () => {
    await Promise.all([front.close(), toTypist.close()]);
    await deployment.dispose();
  });

  test.each(SEEDS)(
    'seed %d over three servers: each client sees everything that was printed, no byte lost or repeated; all input arrives, once and in order',
    { timeout: 180_000 },
    async (seed) => {
      const { plan, errors } = await typeUnderFaults(scene, seed);
      expect(errors, plan.join(', ')).toEqual([]);
    },
  );
});
