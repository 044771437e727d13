/** Servers on one PostgreSQL, with different clocks, each with its own faulty connection to the database; agents and clients behind balancers. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Balancer } from '../../helpers/balancer.ts';
import { Client } from '../../helpers/client.ts';
import { makeDirectory, removeDirectory } from '../../helpers/directories.ts';
import { AgentUnderTest, ServerUnderTest, type Settings } from '../../helpers/harness.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import { killAll, processesWith, until } from '../../helpers/processes.ts';

/** Offsets of the clocks of the three servers, ms. All servers must use the clock of the database. */
const CLOCK_SHIFTS_MS = [0, 10_000, -10_000];
const MACHINES = ['dm-one', 'dm-two'];
const SHIFTED_CLOCK = fileURLToPath(new URL('./shifted-clock.ts', import.meta.url));

/** Deployments that are not disposed of yet. If a run is aborted, its process disposes of them when it exits. */
const deployments = new Set<ClusterDeployment>();
process.once('exit', () => {
  for (const { dir, postgres } of deployments) {
    killAll(processesWith(dir));
    postgres.kill();
  }
});
process.once('SIGTERM', () => process.exit(1));

export class ClusterDeployment {
  readonly dir = makeDirectory('cluster-chaos');
  readonly servers: ServerUnderTest[] = [];
  readonly agents: AgentUnderTest[] = [];
  /** The connections of each server to the database. */
  readonly databases: Balancer[] = [];
  readonly postgres: TestPostgres;
  /** The URL of the schema, not through a proxy. */
  readonly databaseUrl: string;
  #links: Balancer | undefined;
  #front: Balancer | undefined;
  #client: Client | undefined;

  private constructor(postgres: TestPostgres, databaseUrl: string) {
    this.postgres = postgres;
    this.databaseUrl = databaseUrl;
  }

  /** `isLinked`: whether the servers have connections to each other. */
  static async start({ isLinked = true }: { isLinked?: boolean } = {}): Promise<ClusterDeployment> {
    const postgres = await TestPostgres.start({ keepsCommits: true });
    const deployment = new ClusterDeployment(postgres, await postgres.schema());
    deployments.add(deployment);
    try {
      await deployment.#startServers(isLinked);
      for (const machineId of MACHINES) await deployment.#join(machineId);
      return deployment;
    } catch (error) {
      await deployment.dispose().catch(() => undefined);
      throw error;
    }
  }

  /** The balancer between agents and servers. */
  get links(): Balancer {
    if (this.#links === undefined) throw new Error('the agents have no balancer yet');
    return this.#links;
  }

  /** A client that connects through its own balancer. */
  get client(): Client {
    if (this.#client === undefined) throw new Error('the servers do not run yet');
    return this.#client;
  }

  get log(): string {
    return [...this.servers, ...this.agents].map(({ log }) => log).join('\n--- next\n');
  }

  server(index: number): ServerUnderTest {
    const server = this.servers[index % this.servers.length];
    if (server === undefined) throw new Error('there are no servers');
    return server;
  }

  agent(index: number): AgentUnderTest {
    const agent = this.agents[index % this.agents.length];
    if (agent === undefined) throw new Error('there are no agents');
    return agent;
  }

  database(index: number): Balancer {
    const database = this.databases[index % this.databases.length];
    if (database === undefined) throw new Error('there are no servers');
    return database;
  }

  async connected(): Promise<void> {
    for (const { machineId } of this.agents) {
      await until(`${machineId} is connected`, async () => {
        const path = `/v1/machines/${machineId}`;
        const answer = await this.client.get<{ status?: { phase: string } }>(path).catch(() => undefined);
        return answer?.json?.status?.phase === 'running';
      });
    }
  }

  async dispose(): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.stop().catch(() => undefined)));
    await Promise.all(this.servers.map((server) => server.kill()));
    for (const balancer of [this.#front, this.#links, ...this.databases]) await balancer?.close();
    killAll(processesWith(this.dir));
    await this.postgres.stop();
    deployments.delete(this);
    await removeDirectory(this.dir);
  }

  async #startServers(isLinked: boolean): Promise<void> {
    const keyFile = join(this.dir, 'shared.key');
    writeFileSync(keyFile, randomBytes(32).toString('base64url'), { mode: 0o600 });
    const key = `xpk_${randomBytes(32).toString('base64url')}`;
    for (const [index, shiftMs] of CLOCK_SHIFTS_MS.entries()) {
      const database = await Balancer.start([this.postgres.port]);
      this.databases.push(database);
      const url = new URL(this.databaseUrl);
      url.port = String(database.port);
      const settings: Settings = {
        EXECPLANE_DATABASE_URL: url.href,
        EXECPLANE_SECRET_KEY_FILE: keyFile,
        EXECPLANE_API_KEY: key,
        EXECPLANE_DATA_DIR: join(this.dir, `server-${index}`),
        EXECPLANE_CANCEL_GRACE_MS: '300',
        ...(isLinked && { EXECPLANE_CLUSTER_ADDRESS: '127.0.0.1:0' }),
        ...(shiftMs === 0 ? {} : { NODE_OPTIONS: `--import ${SHIFTED_CLOCK}`, CHAOS_CLOCK_SHIFT_MS: String(shiftMs) }),
      };
      this.servers.push(await ServerUnderTest.start(this.dir, settings));
    }
    const ports = this.servers.map(({ port }) => port);
    this.#links = await Balancer.start(ports);
    this.#front = await Balancer.start(ports);
    this.#client = new Client(this.#front.url, key);
  }

  async #join(machineId: string): Promise<void> {
    const { token } = await this.client.ask<{ token: string }>('POST', '/v1/join-tokens', {
      body: { machine_id: machineId },
    });
    const settings = { EXECPLANE_URL: this.links.url, EXECPLANE_JOIN_TOKEN: token, EXECPLANE_MAX_CONCURRENCY: '16' };
    this.agents.push(new AgentUnderTest(join(this.dir, `agent-${machineId}`), machineId, settings));
    await this.connected();
  }
}
