/**
 * Runs the built program, `dist/cli/main.js`, as server and agents in separate processes and directories. A test must dispose of
 * its Deployment, which throws if a process is still running then.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, type MachineClient } from './client.ts';
import { makeDirectory, removeDirectory } from './directories.ts';
import { freePort } from './free-port.ts';
import { prepareDataDirectory } from './new-database.ts';
import { commandLine, killAll, processesWith, Started, until } from './processes.ts';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export type Settings = Record<string, string>;

/** Runs the CLI and waits until it exits. */
export async function cli(args: readonly string[], env: Settings = {}) {
  const started = new Started(process.execPath, [MAIN, ...args], baseEnv(env));
  const exit = await started.end('SIGCONT', 60_000);
  return { ...exit, stdout: started.stdout, stderr: started.stderr };
}

/** The environment of the processes started here: variables of a shell, but not those of the test runner. */
export function baseEnv(more: Settings = {}): Settings {
  const kept = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'TZ'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(kept), ...more };
}

export class ServerUnderTest {
  readonly dataDir: string;
  readonly port: number;
  readonly url: string;
  readonly key: string;
  readonly client: Client;
  readonly settings: Settings;
  process: Started;
  /** The logs of the earlier processes of this server. */
  #earlierLog = '';

  private constructor(dataDir: string, port: number, settings: Settings) {
    this.dataDir = dataDir;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.key = settings['EXECPLANE_API_KEY'] ?? '';
    this.client = new Client(this.url, this.key);
    this.settings = settings;
    this.process = this.#spawn();
  }

  static async start(dir: string, settings: Settings = {}): Promise<ServerUnderTest> {
    const key = `xpk_${randomBytes(32).toString('base64url')}`;
    const dataDir = settings['EXECPLANE_DATA_DIR'] ?? join(dir, 'data');
    if (settings['EXECPLANE_DATABASE_URL'] === undefined) prepareDataDirectory(dataDir);
    const server = new ServerUnderTest(dataDir, await freePort(), {
      EXECPLANE_API_KEY: key,
      ...settings,
    });
    await server.ready();
    return server;
  }

  get log(): string {
    return this.#earlierLog + this.process.stdout + this.process.stderr;
  }

  /** Waits until the server answers. Throws with its log if it has exited. */
  async ready(): Promise<void> {
    await until(
      () => `the server is ready\n${this.log}`,
      async () => {
        if (!this.process.running) throw new Error(`the server exited:\n${this.log}`);
        const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
        await answer?.arrayBuffer();
        return answer?.status === 200;
      },
    );
  }

  async kill(): Promise<void> {
    await this.process.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.process.end('SIGTERM');
  }

  /** Starts the server again on the same port and directory. */
  async restart(): Promise<void> {
    if (this.process.running) throw new Error('it runs');
    this.#earlierLog = this.log;
    this.process = this.#spawn();
    await this.ready();
  }

  #spawn(): Started {
    const env = baseEnv({
      EXECPLANE_PORT: String(this.port),
      EXECPLANE_DATA_DIR: this.dataDir,
      ...this.settings,
    });
    return new Started(process.execPath, [MAIN, 'server'], env);
  }
}

export class AgentUnderTest {
  readonly dir: string;
  readonly machineId: string;
  readonly settings: Settings;
  main: string;
  link: Started;
  #earlierLog = '';

  /** A command that runs the agent, such as unshare(1); the command line of the agent follows it. */
  readonly #prefix: readonly string[];

  /** `main`: the program of the build to run. */
  constructor(dir: string, machineId: string, settings: Settings, main = MAIN, prefix: readonly string[] = []) {
    this.main = main;
    this.#prefix = prefix;
    this.dir = dir;
    this.machineId = machineId;
    this.settings = settings;
    this.link = this.#spawn();
  }

  get log(): string {
    return this.#earlierLog + this.link.stdout + this.link.stderr;
  }

  /** Pids of the running processes of this agent, except the link: runner and spawner. */
  ownedPids(): number[] {
    return processesWith(this.dir).filter((pid) => pid !== this.link.pid);
  }

  runnerPid(): number {
    const [pid, ...others] = this.ownedPids().filter((candidate) => isRunner(candidate));
    if (pid === undefined || others.length > 0) throw new Error(`not one runner: ${[pid, ...others]}`);
    return pid;
  }

  /** Sends SIGTERM: the link exits, commands keep running. */
  async detach(): Promise<void> {
    await this.link.end('SIGTERM');
  }

  async killLink(): Promise<void> {
    await this.link.end('SIGKILL');
  }

  /** Sends SIGINT, which also ends all commands, and waits until all processes have exited. */
  async stop(): Promise<void> {
    await this.link.end('SIGINT', STOP_TIMEOUT_MS);
    await until(
      () => `nothing of the agent is left\n${this.log}`,
      () => this.ownedPids().length === 0,
    );
  }

  /** Starts the link again on the same directory. */
  restart(): void {
    if (this.link.running) throw new Error('it runs');
    this.#earlierLog = this.log;
    this.link = this.#spawn();
  }

  #spawn(): Started {
    const env = baseEnv({ EXECPLANE_AGENT_DIR: this.dir, ...this.settings });
    const [program, ...args] = [...this.#prefix, process.execPath, this.main, 'agent'] as const;
    return new Started(program ?? process.execPath, args, env);
  }
}

function isRunner(pid: number): boolean {
  return processesWith('runner/main').includes(pid);
}

/** Longer than the time limit of the link for its runner to stop, ms. */
const STOP_TIMEOUT_MS = 50_000;

/** Deployments that are not disposed of yet. If a test is aborted, its process kills them when it exits. */
const deployments = new Set<Deployment>();
process.once('exit', () => {
  for (const { dir } of deployments) killAll(processesWith(dir));
});

/** A server, its agents, and the directory of all their files. */
export class Deployment {
  readonly dir = makeDirectory('test');
  readonly agents: AgentUnderTest[] = [];
  #server: ServerUnderTest | undefined;

  /** Starts a server and an agent that joins as `machine`. Default: `dm-test`; null: no agent. */
  static async start(p: { server?: Settings; agent?: Settings; machine?: string | null } = {}): Promise<Deployment> {
    const deployment = new Deployment();
    deployments.add(deployment);
    try {
      deployment.#server = await ServerUnderTest.start(deployment.dir, p.server);
      if (p.machine !== null) await deployment.join(p.machine ?? 'dm-test', p.agent);
      return deployment;
    } catch (error) {
      await deployment.dispose().catch(() => undefined);
      throw error;
    }
  }

  get server(): ServerUnderTest {
    if (this.#server === undefined) throw new Error('no server');
    return this.#server;
  }

  get client(): Client {
    return this.server.client;
  }

  get agent(): AgentUnderTest {
    const [agent] = this.agents;
    if (agent === undefined) throw new Error('no agent');
    return agent;
  }

  /** The executions of the first machine. */
  get machine(): MachineClient {
    return this.client.machine(this.agent.machineId);
  }

  async joinToken(body: Record<string, unknown> = {}): Promise<string> {
    const { token } = await this.client.ask<{ token: string }>('POST', '/v1/join-tokens', { body });
    return token;
  }

  /** Starts an agent that enrols as `machineId`, and waits until it is connected. */
  async join(machineId: string, settings: Settings = {}, prefix: readonly string[] = []): Promise<AgentUnderTest> {
    const agent = new AgentUnderTest(
      settings['EXECPLANE_AGENT_DIR'] ?? join(this.dir, `agent-${machineId}`),
      machineId,
      {
        EXECPLANE_URL: this.server.url,
        EXECPLANE_JOIN_TOKEN: await this.joinToken({ machine_id: machineId }),
        ...settings,
      },
      MAIN,
      prefix,
    );
    this.agents.push(agent);
    await this.connected(agent);
    return agent;
  }

  /** Waits until the agent is connected. */
  async connected(agent = this.agent): Promise<void> {
    await until(
      () => `${agent.machineId} is connected\n${agent.log}`,
      async () => {
        if (!agent.link.running) throw new Error(`the agent exited:\n${agent.log}`);
        return (await this.phase(agent)) === 'running';
      },
    );
  }

  /** Waits until the server has noticed that the agent is disconnected. */
  async away(agent = this.agent): Promise<void> {
    await until(`${agent.machineId} is away`, async () => (await this.phase(agent)) === 'sleeping');
  }

  async phase(agent = this.agent): Promise<string> {
    const machine = await this.client.get<{ status?: { phase: string } }>(`/v1/machines/${agent.machineId}`);
    return machine.json?.status?.phase ?? `${machine.status}`;
  }

  /** Stops the agents and then the server, and removes the directory. Throws if a process did not exit. */
  async dispose(): Promise<void> {
    const left: string[] = [];
    for (const agent of this.agents) {
      await agent.link.end('SIGINT', STOP_TIMEOUT_MS);
      const gone = until('the agent is gone', () => agent.ownedPids().length === 0, 30_000);
      await gone.catch(() => left.push(...agent.ownedPids().map((pid) => commandLine(pid)), agent.log));
      killAll(agent.ownedPids());
    }
    if (this.#server !== undefined) {
      const exit = await this.#server.process.end('SIGTERM');
      if (exit.signal === 'SIGKILL' && existsSync(MAIN)) left.push('the server, which SIGTERM did not end');
    }
    const strays = processesWith(this.dir);
    left.push(...strays.map(commandLine));
    killAll(strays);
    deployments.delete(this);
    await removeDirectory(this.dir);
    if (left.length > 0) throw new Error(`left running: ${left.join('; ')}`);
  }
}
