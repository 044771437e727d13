/** The machine of limits-vm.sh: requests to its server, and agents in systemd units with the necessary cgroups. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export const SERVER = 'http://127.0.0.1:7411';
/** Without KVM a start takes minutes. */
const TIMEOUT_MS = 600_000;

export interface Execution {
  execution_id: string;
  status: string;
  error_code?: string;
  error_message?: string;
  exit_code?: number;
  signal?: number;
  usage?: {
    cpu_user_ms: number;
    cpu_system_ms: number;
    max_memory_bytes: number;
    io_read_bytes?: number;
    io_write_bytes?: number;
  };
  output?: { stdout: string; stderr: string };
}

/** Polls `look` until it returns a value, and returns the value. */
export async function until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await delay(50);
  }
}

export const key = await adminKey();

async function adminKey(): Promise<string> {
  return until('the key of the server', () => {
    try {
      return readFileSync('/var/lib/execplane/admin.key', 'utf8').trim();
    } catch {
      return undefined;
    }
  });
}

/** One request to the server. */
export async function api<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`${SERVER}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

export const executions = (machine: string): string => `/v1/machines/${machine}/executions`;
export const sh = (script: string): string[] => ['/bin/sh', '-c', script];

/** Runs a command to its end. */
export async function execute(machine: string, body: object): Promise<Execution> {
  let execution = await start(machine, body);
  const path = `${executions(machine)}/${execution.execution_id}?wait_ms=55000&include=usage,output`;
  while (execution.output === undefined) execution = await api('GET', path);
  return execution;
}

/** Creates an execution. */
export function start(machine: string, body: object): Promise<Execution> {
  return api('POST', executions(machine), body);
}

async function token(machine: string): Promise<string> {
  return (await api<{ token: string }>('POST', '/v1/join-tokens', { machine_id: machine })).token;
}

/** Settles when the agent is connected. */
export async function connected(machine: string): Promise<void> {
  await until(`the agent of ${machine}`, async () => {
    const { status } = await api<{ status: { phase: string } }>('GET', `/v1/machines/${machine}`);
    return status.phase === 'running' ? true : undefined;
  });
}

/** The agent of the package: not root, in a cgroup that its unit delegates to it. */
export async function packagedAgent(machine: string): Promise<void> {
  mkdirSync('/etc/credstore', { recursive: true });
  writeFileSync('/etc/credstore/execplane.join-token', await token(machine), { mode: 0o600 });
  execFileSync('systemctl', ['restart', 'execplane-agent']);
  await connected(machine);
}

/** An agent in a unit with these properties. */
export async function agentIn(machine: string, properties: string[]): Promise<void> {
  const directory = `/var/lib/${machine}`;
  const user = properties.includes('User=execplane-agent') ? 'execplane-agent' : 'root';
  const owner = (flag: string): number => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }));
  mkdirSync(directory, { mode: 0o700 });
  chownSync(directory, owner('-u'), owner('-g'));
  const settings = { AGENT_DIR: directory, URL: SERVER, JOIN_TOKEN: await token(machine) };
  execFileSync('systemd-run', [
    '--quiet',
    `--unit=${machine}`,
    ...properties.map((property) => `--property=${property}`),
    ...Object.entries(settings).map(([name, value]) => `--setenv=EXECPLANE_${name}=${value}`),
    '/usr/bin/execplane',
    'agent',
  ]);
  await connected(machine);
}
