/** A deployment with a faulty network between agent and server, for one scripted scenario. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineClient } from '../helpers/client.ts';
import { type AgentUnderTest, Deployment, type Settings } from '../helpers/harness.ts';
import { FaultyProxy } from './proxy.ts';

export class Scene {
  readonly deployment: Deployment;
  readonly proxy: FaultyProxy;
  readonly agent: AgentUnderTest;
  readonly machine: MachineClient;
  /** The file to which each command appends its execution id when it starts. */
  readonly starts: string;

  private constructor(deployment: Deployment, proxy: FaultyProxy, agent: AgentUnderTest) {
    this.deployment = deployment;
    this.proxy = proxy;
    this.agent = agent;
    this.machine = deployment.client.machine(agent.machineId);
    this.starts = join(deployment.dir, 'starts');
  }

  static async set(p: { server?: Settings; agent?: Settings } = {}): Promise<Scene> {
    const deployment = await Deployment.start({
      machine: null,
      server: { EXECPLANE_CANCEL_GRACE_MS: '300', ...p.server },
    });
    const proxy = await FaultyProxy.start(deployment.server.port);
    const agent = await deployment.join('dm-scene', { EXECPLANE_URL: proxy.url, ...p.agent });
    return new Scene(deployment, proxy, agent);
  }

  /** Creates an execution that records its start, prints `ready`, and runs the shell line `line`. Returns its id. */
  async create(
    line: string,
    more: { timeout_ms?: number; start_within_ms?: number; stdin?: string } = {},
  ): Promise<string> {
    const { execution_id } = await this.machine.create({
      command: ['/bin/sh', '-c', `echo "$EXECUTION_ID" >> "$STARTS"; echo ready; ${line}`],
      env: { STARTS: this.starts, GO: this.file('go') },
      ...more,
    });
    return execution_id;
  }

  async started(line: string, more: { timeout_ms?: number } = {}): Promise<string> {
    const id = await this.create(line, more);
    await this.machine.printed(id, 'ready');
    return id;
  }

  file(name: string): string {
    return join(this.deployment.dir, name);
  }

  /** The number of times that the command of this execution was started. */
  startsOf(id: string): number {
    if (!existsSync(this.starts)) return 0;
    return readFileSync(this.starts, 'utf8')
      .split('\n')
      .filter((line) => line === id).length;
  }

  async stdoutOf(id: string): Promise<string> {
    return (await this.machine.raw(id)).toString();
  }

  async strike(): Promise<void> {
    this.proxy.heal();
    if (!this.deployment.server.process.running) await this.deployment.server.restart();
    try {
      await this.deployment.dispose();
    } finally {
      await this.proxy.close();
    }
  }
}

/** Runs a scenario in a new scene and disposes of the scene, also after an error. */
export async function withScene(
  settings: { server?: Settings; agent?: Settings },
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  const scene = await Scene.set(settings);
  try {
    await play(scene);
  } catch (error) {
    const log = `${scene.deployment.server.log}\n${scene.agent.log}`.split('\n').slice(-60).join('\n');
    throw new Error(`${error instanceof Error ? (error.stack ?? error.message) : error}\n--- last log lines\n${log}`, {
      cause: error,
    });
  } finally {
    await scene.strike();
  }
}
