import { resolve } from 'node:path';
import { AGENT_SETTINGS, type AgentConnectedMessage, readAgentConfig, readCredential } from '../../agent/main.ts';
import { type Execplane, RefusedError } from '../../client/main.ts';
import { readServerConfig, SERVER_SETTINGS, type ServerConfig, startServer } from '../../server/main.ts';
import { CliError } from '../cli-error.ts';
import { clientFor } from '../client-command.ts';
import { environment, readClientConfig } from '../config.ts';
import { isHangupIgnored } from '../hangup.ts';
import { withoutSecrets } from '../hide-secrets.ts';
import { print, printError } from '../streams/output.ts';
import { banner } from '../terminal/banner.ts';
import { listenFailure } from './listen-failure.ts';
import { SupervisedProcess } from './supervised-process.ts';

export { AGENT_SETTINGS, SERVER_SETTINGS };

type Flags = Readonly<Record<string, string>>;

/** The agent has bounds of its own, which are shorter. */
const AGENT_STOP_MS = 50_000;

/** Runs server and agent until a signal, or until the agent cannot run any more. Leaves no process behind. */
export async function runUp(overrides: Flags): Promise<void> {
  const flags = { ...readableWarnings(overrides), ...overrides };
  const stop = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', ...(isHangupIgnored() ? [] : ['SIGHUP'])];
  for (const signal of signals) process.on(signal, () => stop.abort());
  const config = readServerConfig(flags);
  const { dir } = readAgentConfig({ ...flags, url: ownUrl(flags, config, config.port) });
  const server = await startServer(config).catch((error: unknown) => Promise.reject(listenFailure(error, config)));
  let agent: SupervisedProcess | undefined;
  try {
    const url = ownUrl(flags, config, Number(new URL(server.url).port));
    const token = await tokenFor(dir, clientFor(readClientConfig({ ...flags, url, apiKey: server.adminKey.key })));
    const connected = Promise.withResolvers<string>();
    agent = startAgent(agentEnvironment(flags, url), token, connected.resolve);
    const over = Promise.race([agentEnds(agent, stop.signal), aborted(stop.signal)]);
    const machineId = await Promise.race([connected.promise, over]);
    if (machineId !== undefined) {
      agent.enableRestart();
      const { file } = server.adminKey;
      print(banner({ url, machineId, ...(file === undefined ? {} : { keyFile: resolve(file) }) }));
      await over;
    }
  } finally {
    if (stop.signal.aborted) say('stopping');
    // The agent stops first: the server still accepts its last reports.
    await agent?.stop('SIGINT', AGENT_STOP_MS);
    await server.stop();
  }
}

/** Logs warnings only, as text, beside the banner, unless a setting of the log is given. */
function readableWarnings(flags: Flags): Flags {
  const { EXECPLANE_LOG_LEVEL: level, EXECPLANE_LOG_FORMAT: format } = environment();
  const isSet = [flags['logLevel'], flags['logFormat'], level, format].some(
    (value) => value !== undefined && value !== '',
  );
  return isSet ? {} : { logLevel: 'warn', logFormat: 'text' };
}

/** Returns a join token, unless the credential of the agent's directory belongs to a machine that this server knows. */
async function tokenFor(dir: string, client: Execplane): Promise<string | undefined> {
  const machineId = readCredential(dir)?.machineId;
  if (machineId !== undefined) {
    try {
      await client.machines.get(machineId);
      return undefined;
    } catch (error) {
      if (!(error instanceof RefusedError) || error.status !== 404) throw error;
    }
  }
  return (await client.joinTokens.create()).token;
}

/** The agent gets its token by stdin and no key at all: commands can read the environment of their ancestors. */
function startAgent(env: NodeJS.ProcessEnv, token: string | undefined, connected: (machineId: string) => void) {
  const input = token === undefined ? {} : { input: token };
  const onMessage = (message: unknown) => {
    const { type, machineId } = message as AgentConnectedMessage;
    if (type === 'connected') connected(machineId);
  };
  return new SupervisedProcess({ name: 'the agent', args: ['agent'], env, onMessage, ...input }, say);
}

function agentEnvironment(flags: Flags, url: string): NodeJS.ProcessEnv {
  const env = withoutSecrets(environment());
  for (const { property, variable } of AGENT_SETTINGS) {
    const value = flags[property];
    if (value !== undefined) env[variable] = value;
  }
  return { ...env, EXECPLANE_URL: url, EXECPLANE_JOIN_TOKEN_FILE: '-' };
}

/** Settles when somebody stopped the agent on purpose. Throws if it cannot run any more. */
async function agentEnds(agent: SupervisedProcess, stopping: AbortSignal): Promise<undefined> {
  const { code, signal } = await agent.done;
  if (stopping.aborted) return;
  if (code !== 0) {
    throw new CliError(`the agent ended (${signal ?? `exit code ${code}`}): read its log above.`, {
      exitCode: code ?? 1,
    });
  }
  say('the agent was stopped');
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

/** The address of the server for the agent and for people: EXECPLANE_URL if it is set, else the address that it listens on. */
function ownUrl(flags: Flags, config: ServerConfig, port: number): string {
  const configured = flags['url'] ?? environment()['EXECPLANE_URL'];
  return configured ? configured.replace(/\/$/, '') : localUrl(config, port);
}

/** The URL of the server from this machine. */
function localUrl({ host, tlsCert }: ServerConfig, port: number): string {
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `${tlsCert === undefined ? 'http' : 'https'}://${local.includes(':') ? `[${local}]` : local}:${port}`;
}

function say(text: string): void {
  printError(`execplane: ${text}\n`);
}
