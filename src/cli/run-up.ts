import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AGENT_SETTINGS, AgentConnectedMessage, readAgentConfig, readCredential } from '../agent/main.ts';
import type { readServerConfig, SERVER_SETTINGS } from '../server/main.ts';
import { ApiFailure } from './api-failure.ts';
import { banner } from './banner.ts';
import { CliError } from './cli-error.ts';
import { environment, readClientConfig } from './config.ts';
import { listenablePort } from './free-port.ts';
import { Api } from './http.ts';
import { SupervisedProcess } from './supervised-process.ts';
import type { JoinToken } from './wire.ts';

/** What `up` needs of the two that it starts. */
interface Parts {
  SERVER_SETTINGS: typeof SERVER_SETTINGS;
  readServerConfig: typeof readServerConfig;
  AGENT_SETTINGS: typeof AGENT_SETTINGS;
  readAgentConfig: typeof readAgentConfig;
  readCredential: typeof readCredential;
}

type Flags = Readonly<Record<string, string>>;

const ENTRY = fileURLToPath(new URL(`./main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const LOOK_AGAIN_MS = 30;
/** The agent has bounds of its own, which are shorter. */
const AGENT_STOP_MS = 50_000;
/** What the server takes beyond its own EXECPLANE_SHUTDOWN_MS. */
const SERVER_STOP_MARGIN_MS = 5_000;

/** Runs server and agent until a signal, or until one of them is beyond help. Nothing is left behind. */
export async function runUp(flags: Flags, parts: Parts): Promise<void> {
  const stop = new AbortController();
  const stopNow = () => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stopNow);
  const config = parts.readServerConfig(flags);
  const port = await listenablePort(config.host, config.port);
  const url = flags['url'] ?? (environment()['EXECPLANE_URL'] || localUrl(config, port));
  const env = childEnvironment({ ...flags, port: String(port) }, url, parts);

  const server = new SupervisedProcess({ name: 'the server', entry: ENTRY, args: ['server'], env }, say);
  let agent: SupervisedProcess | undefined;
  try {
    const api = await apiWhenReady(server, url, flags, stop.signal);
    server.settled();
    const { dir } = parts.readAgentConfig({ ...flags, url });
    const token = await tokenFor(parts.readCredential(dir)?.machineId, api);
    const connected = Promise.withResolvers<string>();
    agent = startAgent(env, token, connected.resolve);
    const machineId = await orEnd(connected.promise, agent, 'the agent', stop.signal);
    agent.settled();
    if (machineId !== undefined) {
      const keyFile = config.apiKey === undefined ? resolve(config.dataDir, 'admin.key') : undefined;
      process.stdout.write(banner({ url, machineId, ...(keyFile === undefined ? {} : { keyFile }) }));
      await orEnd(new Promise<never>(() => {}), server, 'the server', stop.signal);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    if (stop.signal.aborted) say('stopping');
    await agent?.stop('SIGINT', AGENT_STOP_MS);
    await server.stop('SIGTERM', config.shutdownMs + SERVER_STOP_MARGIN_MS);
  }
}

/** Settings of flags as variables, so that both processes read the same ones. */
function childEnvironment(flags: Flags, url: string, parts: Parts): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...environment(), EXECPLANE_URL: url };
  for (const { property, variable } of [...parts.SERVER_SETTINGS, ...parts.AGENT_SETTINGS]) {
    const value = flags[property];
    if (value !== undefined) env[variable] = value;
  }
  return env;
}

/** The agent gets its token by stdin and no key at all: commands can read the environment of their ancestors. */
function startAgent(env: NodeJS.ProcessEnv, token: string | undefined, connected: (machineId: string) => void) {
  const { EXECPLANE_API_KEY: _key, EXECPLANE_JOIN_TOKEN: _token, ...rest } = env;
  return new SupervisedProcess(
    {
      name: 'the agent',
      entry: ENTRY,
      args: ['agent'],
      env: { ...rest, EXECPLANE_JOIN_TOKEN_FILE: '-' },
      ...(token === undefined ? {} : { input: token }),
      onMessage: (message) => {
        const { type, machineId } = message as AgentConnectedMessage;
        if (type === 'connected') connected(machineId);
      },
    },
    say,
  );
}

async function apiWhenReady(server: SupervisedProcess, url: string, flags: Flags, signal: AbortSignal): Promise<Api> {
  const ready = async () => {
    const until = performance.now() + READY_TIMEOUT_MS;
    for (;;) {
      const api = await readyApi(url, flags);
      if (api !== undefined) return api;
      if (performance.now() > until) throw new CliError('the server is not ready after a minute: see what it logged.');
      await delay(LOOK_AGAIN_MS, undefined, { signal });
    }
  };
  const api = await orEnd(ready(), server, 'the server', signal);
  if (api === undefined) throw new CliError('stopped');
  return api;
}

/** Undefined until the server has its key and says that it is ready. */
async function readyApi(url: string, flags: Flags): Promise<Api | undefined> {
  try {
    const api = new Api(readClientConfig({ ...flags, url }));
    const response = await api.open('GET', '/readyz', { attempts: 1 });
    response.resume();
    return api;
  } catch {
    return undefined;
  }
}

/** A join token, unless this directory's credential is that of a machine which the server knows. */
async function tokenFor(machineId: string | undefined, api: Api): Promise<string | undefined> {
  if (machineId !== undefined) {
    try {
      await api.json('GET', `/v1/machines/${machineId}`);
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiFailure) || error.status !== 404) throw error;
    }
  }
  return (await api.json<JoinToken>('POST', '/v1/join-tokens', { body: {} })).token;
}

/** `wanted`, or undefined once `signal` aborts. Throws where the process is beyond help before that. */
async function orEnd<T>(
  wanted: Promise<T>,
  process: SupervisedProcess,
  name: string,
  signal: AbortSignal,
): Promise<T | undefined> {
  const ended = process.done.then(({ code, signal: by }) => {
    if (signal.aborted) return undefined;
    throw new CliError(`${name} ended (${by ?? `exit code ${code}`}): see what it logged.`, { exitCode: code || 1 });
  });
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  return Promise.race([wanted, ended, stopped]);
}

/** How this machine reaches the server that listens on `host`. */
function localUrl({ host, tlsCert }: { host: string; tlsCert?: string }, port: number): string {
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `${tlsCert === undefined ? 'http' : 'https'}://${local.includes(':') ? `[${local}]` : local}:${port}`;
}

function say(text: string): void {
  process.stderr.write(`execplane: ${text}\n`);
}
