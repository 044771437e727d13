/** Types into terminals while servers, links, connections and the database are killed, over three servers. `TERMINAL_SEEDS=1-30` runs more seeds. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Execplane } from '../../src/client/main.ts';
import { Balancer } from '../helpers/balancer.ts';
import { until } from '../helpers/processes.ts';
import { TerminalStream } from '../helpers/terminal-stream.ts';
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

  test('while the agent is offline, 64 KiB of input without numbers are held and the client is told of the rest; no numbered input is lost', async () => {
    const { machineId } = deployment.agent(0);
    const file = join(deployment.dir, 'burst');
    const shell = join(deployment.dir, 'takes-a-burst');
    writeFileSync(shell, `#!/bin/sh\nstty raw -echo\nprintf ready\nexec cat >${file}\n`, { mode: 0o755 });
    const machineAt = (index: number) =>
      new Execplane({ url: deployment.server(index).url, apiKey: scene.apiKey }).machine(machineId);
    const { terminalId } = await machineAt(0).terminal({ width: 80, height: 24, shell });
    await machineAt(0).terminal(terminalId).ready();
    const path = `/v1/machines/${machineId}/terminals/${terminalId}`;
    const unnumbered = await TerminalStream.open(`${deployment.server(1).url}${path}/stream`, scene.apiKey);
    const numbered = machineAt(2).terminal(terminalId).attach();
    await Promise.all([unnumbered.printed('ready'), numbered.output.getReader().read()]);
    await deployment.agent(0).killLink();
    let sent = 0;
    const refused = (): number => unnumbered.messages.filter(({ error_code }) => error_code === 'AGENT_AWAY').length;
    const words = Array.from({ length: 40_000 }, (_, number) => `${number};`);
    for (const word of words) numbered.write(word);
    for (; refused() < 10; sent += 1) {
      unnumbered.type('u'.repeat(1024));
      await delay(5);
    }
    deployment.agent(0).restart();
    await deployment.connected();
    const taken = () => readFileSync(file, 'latin1');
    await until(
      'all input that was accepted',
      () => taken().length === (sent - refused()) * 1024 + words.join('').length,
    );
    expect(sent - refused()).toBeGreaterThanOrEqual(64);
    expect(taken().replaceAll('u', '')).toBe(words.join(''));
    numbered.detach();
    unnumbered.socket.terminate();
    await machineAt(0).terminal(terminalId).close();
  });
});
