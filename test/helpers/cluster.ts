/** Several real servers on one PostgreSQL, behind a balancer. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Balancer } from './balancer.ts';
import { Client } from './client.ts';
import { makeDirectory, removeDirectory } from './directories.ts';
import { AgentUnderTest, ServerUnderTest, type Settings } from './harness.ts';
import { TestPostgres } from './postgres.ts';
import { killAll, processesWith, until } from './processes.ts';

export class TestCluster {
  readonly dir: string;
  readonly postgres: TestPostgres;
  readonly servers: readonly ServerUnderTest[];
  readonly balancer: Balancer;
  /** A client that connects through the balancer. */
  readonly client: Client;
  readonly agents: AgentUnderTest[] = [];

  private constructor(p: Pick<TestCluster, 'dir' | 'postgres' | 'servers' | 'balancer'>) {
    this.dir = p.dir;
    this.postgres = p.postgres;
    this.servers = p.servers;
    this.balancer = p.balancer;
    this.client = new Client(p.balancer.url, this.server(0).key);
  }

  /** `isLinked`: whether the servers have connections to each other (default: yes). */
  static async start(p: {
    servers: number;
    settings?: Settings;
    isDurable?: boolean;
    isLinked?: boolean;
  }): Promise<TestCluster> {
    const dir = makeDirectory('cluster');
    const postgres = await TestPostgres.start({ keepsCommits: true, isDurable: p.isDurable === true });
    const settings = await sharedSettings(dir, postgres, p.settings);
    const servers: ServerUnderTest[] = [];
    for (let index = 0; index < p.servers; index += 1) {
      const own = {
        EXECPLANE_DATA_DIR: join(dir, `server-${index}`),
        ...(p.isLinked !== false && { EXECPLANE_CLUSTER_ADDRESS: '127.0.0.1:0' }),
      };
      servers.push(await ServerUnderTest.start(dir, { ...settings, ...own }));
    }
    return new TestCluster({ dir, postgres, servers, balancer: await Balancer.start(servers.map(({ port }) => port)) });
  }

  server(index: number): ServerUnderTest {
    const server = this.servers[index];
    if (server === undefined) throw new Error(`there is no server ${index}`);
    return server;
  }

  /** Starts an agent that enrols as `machineId` at `url` (default: the balancer), and waits until it is connected. */
  async join(machineId: string, url = this.balancer.url): Promise<AgentUnderTest> {
    const body = { machine_id: machineId };
    const { token } = await this.server(0).client.ask<{ token: string }>('POST', '/v1/join-tokens', { body });
    const settings = { EXECPLANE_URL: url, EXECPLANE_JOIN_TOKEN: token };
    const agent = new AgentUnderTest(join(this.dir, `agent-${machineId}`), machineId, settings);
    this.agents.push(agent);
    await this.connected(agent);
    return agent;
  }

  async connected({ machineId, log }: AgentUnderTest): Promise<void> {
    await until(
      () => `${machineId} is connected\n${log}`,
      async () => {
        const path = `/v1/machines/${machineId}`;
        const machine = await this.client.ask<{ status: { phase: string } }>('GET', path).catch(() => undefined);
        return machine?.status.phase === 'running';
      },
    );
  }

  /** The replica id of the server to which the machine is connected; undefined if there is none. */
  async holderOf(machineId: string): Promise<number | undefined> {
    const url = this.server(0).settings['EXECPLANE_DATABASE_URL'];
    const text = `SELECT owner FROM machines WHERE public_id = '${machineId}' AND owner IS NOT NULL`;
    const [row] = await this.postgres.query<{ owner: number }>(text, url);
    return row?.owner;
  }

  /** The index of the server that was the last to log the connection of the machine's agent. */
  lastConnected(machineId: string): number {
    const times = this.servers.map(({ log }) => connectedAt(log, machineId));
    return times.indexOf(Math.max(...times));
  }

  get log(): string {
    return [...this.servers, ...this.agents].map(({ log }) => log.split('\n').slice(-40).join('\n')).join('\n---\n');
  }

  async dispose(): Promise<void> {
    await this.balancer.close();
    await Promise.all(this.agents.map((agent) => agent.link.end('SIGKILL')));
    await Promise.all(this.servers.map((server) => (server.process.running ? server.stop() : undefined)));
    killAll(processesWith(this.dir));
    await this.postgres.stop();
    await removeDirectory(this.dir);
  }
}

/** The settings that all servers on one database have in common. */
async function sharedSettings(dir: string, postgres: TestPostgres, more: Settings = {}): Promise<Settings> {
  const keyFile = join(dir, 'shared.key');
  writeFileSync(keyFile, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  return {
    EXECPLANE_DATABASE_URL: await postgres.schema(),
    EXECPLANE_SECRET_KEY_FILE: keyFile,
    EXECPLANE_API_KEY: `xpk_${randomBytes(32).toString('base64url')}`,
    EXECPLANE_LOG_LEVEL: 'info',
    ...more,
  };
}

/** The time of the last line that logs the connection of the machine's agent, ms since the epoch; 0 if there is none. */
function connectedAt(log: string, machineId: string): number {
  const lines = log.split('\n').filter((line) => line.includes('"agent connected"') && line.includes(machineId));
  const [, time = ''] = /"time":"([^"]+)"/.exec(lines.at(-1) ?? '') ?? [];
  return Date.parse(time) || 0;
}
