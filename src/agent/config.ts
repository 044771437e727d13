/** The agent's settings: one table, and the only place of the agent that reads the environment. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Labels, parseLabels } from '../core/labels.ts';
import { ConfigError } from '../node/config-error.ts';
import { isLoopback } from '../node/loopback.ts';
import { proxyFor } from '../node/proxy.ts';
import { OTHERS_THAN_READING_GROUP, refuseOpenFile } from '../node/private-file.ts';

/** A setting as the CLI and the documentation show it: `agentDir` is EXECPLANE_AGENT_DIR and --agent-dir. */
export interface AgentSetting {
  property: string;
  variable: string;
  flag: string;
  default: string | undefined;
  description: string;
}

/** For an https server; all PEM. */
export interface AgentTls {
  /** Where it is set, it alone is trusted. */
  ca?: string;
  /** What this agent shows of itself, where the server asks for it; one needs the other. */
  cert?: string;
  key?: string;
}

/** What systemd gives a service with WatchdogSec= (sd_watchdog_enabled(3)), and the PATH to find its program in. */
export interface Watchdog {
  socket: string;
  timeoutMs: number;
  path: string;
}

export interface AgentConfig {
  /** Base URL of the server, http or https. */
  url: URL;
  /** Absolute path of the state directory. */
  dir: string;
  joinToken?: string;
  /** Read only when it is needed; `-` is stdin. */
  joinTokenFile?: string;
  machineId?: string;
  maxConcurrency: number;
  /** Nothing runs without a policy.json. */
  policyRequired: boolean;
  /** Of the machine, to select it by. */
  labels: Labels;
  tls: AgentTls;
  /** From HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. */
  proxy?: URL | undefined;
  logLevel: string;
  /** Where systemd wants signs of life. */
  watchdog?: Watchdog;
  /** The soft limit of open files that the agent was started with, if the launcher (launcher.sh) has told. */
  softFileLimit?: number;
  /** What the runner gets as its environment: no setting with a secret in it. */
  runnerEnv: Record<string, string>;
}

type Environment = Readonly<Partial<Record<string, string>>>;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const MACHINE_ID = /^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const TABLE = {
  url: ['The server.', 'http://127.0.0.1:7411'],
  joinToken: ['Used once to enrol; in the environment or a file it is safer than as a flag.'],
  joinTokenFile: ['A file with the join token; - reads it from stdin.'],
  agentDir: ['State directory of the agent.', './agent'],
  machineId: ['Ask for this machine id when enrolling.'],
  maxConcurrency: ['Commands that may run at once.', '64'],
  policy: ['required: nothing runs without a policy.json; optional: without one everything does.', 'optional'],
  labels: ['Labels of the machine, as role=web,site=berlin.'],
  caFile: ['PEM file of the certificate authority behind an https server.'],
  tlsCert: ['PEM file with a client certificate, for a server that asks agents for one.'],
  tlsKey: ['PEM file with its private key.'],
  insecure: ['true: allow plain http to another host.', 'false'],
  logLevel: ['Lines below this level are not logged.', 'info'],
} as const satisfies Record<string, readonly [description: string, fallback?: string]>;
type Property = keyof typeof TABLE;

/** All settings of the agent, in the order in which they should be shown. */
export const AGENT_SETTINGS: readonly AgentSetting[] = Object.entries(TABLE).map(
  ([property, [description, fallback]]) => ({
    property,
    variable: `EXECPLANE_${words(property).join('_').toUpperCase()}`,
    flag: `--${words(property).join('-')}`,
    default: fallback,
    description,
  }),
);

/** Reads the settings: a flag (by property name) wins over its variable, an empty value is none. Throws ConfigError. */
export function readAgentConfig(flags: Environment = {}, env: Environment = process.env): AgentConfig {
  const source = new Source(flags, env);
  const url = readUrl(source);
  const machineId = source.checked('machineId', isMachineId, 'must look like dm-web-1: lower case, digits, dashes');
  return {
    url,
    proxy: proxyFor(url, env),
    dir: resolve(source.text('agentDir') ?? ''),
    maxConcurrency: Number(source.checked('maxConcurrency', isConcurrency, 'must be an integer from 1 to 10000')),
    policyRequired:
      source.checked('policy', (value) => /^(required|optional)$/.test(value), 'must be required or optional') ===
      'required',
    logLevel:
      source.checked('logLevel', (level) => LOG_LEVELS.includes(level), `must be one of ${LOG_LEVELS.join(', ')}`) ??
      '',
    tls: readTls(source),
    labels: readLabels(source),
    runnerEnv: runnerEnvironment(env),
    ...readToken(source, env['CREDENTIALS_DIRECTORY']),
    ...readWatchdog(env),
    ...readFileLimit(env),
    ...(machineId === undefined ? {} : { machineId }),
  };
}

/** Where values come from, and under which name people know them. */
class Source {
  readonly #flags: Environment;
  readonly #env: Environment;

  constructor(flags: Environment, env: Environment) {
    this.#flags = flags;
    this.#env = env;
  }

  text(property: Property): string | undefined {
    const setting = settingOf(property);
    return this.#flags[property] ?? (this.#env[setting.variable] || setting.default);
  }

  checked(property: Property, fits: (value: string) => boolean, expectation: string): string | undefined {
    const value = this.text(property);
    if (value !== undefined && !fits(value)) throw this.wrong(property, `${expectation}, not ${JSON.stringify(value)}`);
    return value;
  }

  wrong(property: Property, message: string, cause?: unknown): ConfigError {
    const setting = settingOf(property);
    const name = this.#flags[property] === undefined ? setting.variable : setting.flag;
    return new ConfigError(`${name}: ${message}`, { cause });
  }
}

function settingOf(property: Property): AgentSetting {
  const setting = AGENT_SETTINGS.find((candidate) => candidate.property === property);
  if (setting === undefined) throw new Error(`no setting ${property}`);
  return setting;
}

function readUrl(source: Source): URL {
  const text = source.checked('url', isHttpUrl, 'must be a URL such as https://execplane.example.com') ?? '';
  const url = new URL(text);
  const insecure = source.checked('insecure', (value) => /^(true|1|false|0)$/.test(value), 'must be true or false');
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && insecure !== 'true' && insecure !== '1') {
    throw source.wrong(
      'url',
      `plain http to ${url.hostname} would send the credential and all output unencrypted. Use https, or set EXECPLANE_INSECURE=true`,
    );
  }
  return url;
}

function readLabels(source: Source): Labels {
  const text = source.text('labels') ?? '';
  const labels = parseLabels(text);
  if (labels === undefined) {
    throw source.wrong('labels', `must be labels as role=web,site=berlin, not ${JSON.stringify(text)}`);
  }
  return labels;
}

function readTls(source: Source): AgentTls {
  const ca = readPem(source, 'caFile');
  const cert = readPem(source, 'tlsCert');
  const key = readPem(source, 'tlsKey');
  if ((cert === undefined) !== (key === undefined)) {
    throw source.wrong(cert === undefined ? 'tlsKey' : 'tlsCert', 'the certificate and its key: one needs the other');
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
}

function readPem(source: Source, property: 'caFile' | 'tlsCert' | 'tlsKey'): string | undefined {
  const file = source.text(property);
  if (file === undefined) return undefined;
  try {
    if (property === 'tlsKey') refuseOpenFile(file, OTHERS_THAN_READING_GROUP);
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw source.wrong(property, (cause as Error).message, cause);
  }
}

/** systemd's LoadCredential= puts a file `join-token` where only the service may look. */
function readToken(source: Source, credentials: string | undefined): Pick<AgentConfig, 'joinToken' | 'joinTokenFile'> {
  const joinToken = source.text('joinToken');
  if (joinToken !== undefined) return { joinToken: joinToken.trim() };
  const joinTokenFile = source.text('joinTokenFile') ?? (credentials ? resolve(credentials, 'join-token') : undefined);
  return joinTokenFile === undefined ? {} : { joinTokenFile };
}

/** Only where it is meant for this process, and not for one that this was started by. */
function readWatchdog(env: Environment): Pick<AgentConfig, 'watchdog'> {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: timeout, WATCHDOG_PID: pid, PATH: path = '' } = env;
  const timeoutMs = Number(timeout) / 1000;
  if (!socket || !(timeoutMs > 0) || (pid !== undefined && Number(pid) !== process.pid)) return {};
  return { watchdog: { socket, timeoutMs, path } };
}

/** "unlimited" tells nothing: the kernel limits open files in any case. */
function readFileLimit({ EXECPLANE_FILE_LIMIT: limit }: Environment): Pick<AgentConfig, 'softFileLimit'> {
  return /^[1-9]\d{0,9}$/.test(limit ?? '') ? { softFileLimit: Number(limit) } : {};
}

const RUNNER_ENV = /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|EXECPLANE_LOG_LEVEL)$/;

function runnerEnvironment(env: Environment): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && RUNNER_ENV.test(name)) kept[name] = name === 'PATH' ? withoutNpm(value, env) : value;
  }
  return kept;
}

/** npm puts folders of its own before the PATH of a script; commands must not find programs there. */
function withoutNpm(path: string, env: Environment): string {
  if (env['npm_lifecycle_event'] === undefined) return path;
  const folders = path.split(':');
  return folders.filter((folder) => !/\/(node_modules\/\.bin|node-gyp-bin)$/.test(folder)).join(':');
}

function isMachineId(text: string): boolean {
  return text.length <= 253 && MACHINE_ID.test(text);
}

function isConcurrency(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 10_000;
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function words(property: string): string[] {
  return property.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}
