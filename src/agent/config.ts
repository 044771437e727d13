/** The agent's settings: one table. Only this file of the agent reads the environment. */
import { resolve } from 'node:path';
import { type Labels, parseLabels } from '../core/machines/labels.ts';
import { ConfigError } from '../node/config-error.ts';
import { readCertificates, readKeyPair } from '../node/files/pem.ts';
import type { LogFormat } from '../node/log-destination.ts';
import { isLoopback } from '../node/network/loopback.ts';
import { proxyFor } from '../node/proxy.ts';
import { SETTINGS } from './schemas/checks.ts';
import type { CheckedSetting } from './schemas/settings.ts';

/** A setting as the CLI and the documentation show it: `agentDir` is EXECPLANE_AGENT_DIR and --agent-dir. */
export interface AgentSetting {
  property: string;
  variable: string;
  flag: string;
  default: string | undefined;
  description: string;
}

/** TLS files for an https server, all in PEM. */
export interface AgentTls {
  /** If it is set, no other authority is trusted. */
  ca?: string;
  /** The certificate and key that this agent presents if the server asks for them. One needs the other. */
  cert?: string;
  key?: string;
}

/** The variables that systemd sets for a service with WatchdogSec= (sd_watchdog_enabled(3)), and the PATH in which to find systemd-notify. */
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
  /** Read only when it is needed. `-` means stdin. */
  joinTokenFile?: string;
  machineId?: string;
  /** The name of the machine. */
  machineName?: string;
  maxConcurrency: number;
  /** True: no command runs without a policy.json. */
  policyRequired: boolean;
  /** Labels of the machine, by which requests select it. */
  labels: Labels;
  tls: AgentTls;
  /** Taken from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. */
  proxy?: URL | undefined;
  logLevel: string;
  logFormat: LogFormat;
  /** Set if systemd monitors the agent. */
  watchdog?: Watchdog;
  /** The soft limit of open files that the agent was started with, if the launcher (launcher.sh) passed it on. */
  softFileLimit?: number;
  /** The runner's environment: it contains no setting that holds a secret. */
  runnerEnv: Record<string, string>;
}

type Environment = Readonly<Partial<Record<string, string>>>;

const TABLE = {
  url: ['URL of the server.', 'http://127.0.0.1:7411'],
  joinToken: ['Join token, used once to enrol the machine. A variable or a file is safer than a flag.'],
  joinTokenFile: ['File with the join token. -: read it from stdin.'],
  agentDir: ['State directory of the agent.', './agent'],
  machineId: ['Machine id to request when enrolling, such as dm-web-1. Unset: the server makes one.'],
  machineName: ['Name of the machine to request when enrolling, for people, such as web-1.'],
  maxConcurrency: ['Maximum number of commands that run at once.', '64'],
  policy: ['If the agent has no policy.json: optional allows every command, required allows none.', 'optional'],
  labels: ['Labels of the machine, such as role=web,site=berlin.'],
  caFile: ['PEM file with the certificate authority of the server. Unset: the public authorities.'],
  tlsCert: ['PEM file with the client certificate of the agent, if the server requires one.'],
  tlsKey: ['PEM file with the private key of that certificate.'],
  insecure: ['true: allow plain http to a server on another host.', 'false'],
  logLevel: ['Lowest level that is logged.', 'info'],
  logFormat: ['json: one object per line. text: lines for people.', 'json'],
} as const satisfies Record<string, readonly [description: string, fallback?: string]>;
type Property = keyof typeof TABLE;

/** All settings of the agent, in the order in which the CLI and the documentation show them. */
export const AGENT_SETTINGS: readonly AgentSetting[] = Object.entries(TABLE).map(
  ([property, [description, fallback]]) => ({
    property,
    variable: `EXECPLANE_${words(property).join('_').toUpperCase()}`,
    flag: `--${words(property).join('-')}`,
    default: fallback,
    description,
  }),
);

/** Reads the settings. A flag (by property name) wins over its variable; an empty value counts as absent. Throws ConfigError. */
export function readAgentConfig(flags: Environment = {}, env: Environment = process.env): AgentConfig {
  const source = new Source(flags, env);
  const url = readUrl(source);
  const machineId = source.checked('machineId');
  const machineName = source.checked('machineName');
  return {
    url,
    proxy: proxyFor(url, env),
    dir: resolve(source.text('agentDir') ?? ''),
    maxConcurrency: Number(source.checked('maxConcurrency')),
    policyRequired: source.checked('policy') === 'required',
    logLevel: source.checked('logLevel') ?? '',
    logFormat: source.checked('logFormat') === 'text' ? 'text' : 'json',
    tls: readTls(source),
    labels: readLabels(source),
    runnerEnv: runnerEnvironment(env),
    ...readToken(source, env['CREDENTIALS_DIRECTORY']),
    ...readWatchdog(env),
    ...readFileLimit(env),
    ...(machineId === undefined ? {} : { machineId }),
    ...(machineName === undefined ? {} : { machineName }),
  };
}

/** The values of the settings, and the name of each for messages: that of its flag or of its variable. */
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

  /** Returns the text of a setting that has a schema. Throws ConfigError if it does not fit. */
  checked(property: CheckedSetting): string | undefined {
    const value = this.text(property);
    const check = SETTINGS.get(property);
    if (value === undefined || check?.fits(value)) return value;
    throw this.wrong(property, `${check?.expected ?? 'is unknown'}, not ${JSON.stringify(value)}`);
  }

  /** The name of a setting as it was given. */
  nameOf(property: Property): string {
    const { variable, flag } = settingOf(property);
    return this.#flags[property] === undefined ? variable : flag;
  }

  wrong(property: Property, message: string): ConfigError {
    return new ConfigError(`${this.nameOf(property)}: ${message}`);
  }
}

function settingOf(property: Property): AgentSetting {
  const setting = AGENT_SETTINGS.find((candidate) => candidate.property === property);
  if (setting === undefined) throw new Error(`no setting ${property}`);
  return setting;
}

function readUrl(source: Source): URL {
  const text = source.checked('url') ?? '';
  if (!URL.canParse(text)) throw source.wrong('url', `${SETTINGS.get('url')?.expected}, not ${JSON.stringify(text)}`);
  const url = new URL(text);
  if (/\/v1\/?$/.test(url.pathname))
    throw source.wrong('url', 'leave out /v1, with which every path of the server begins');
  const insecure = source.checked('insecure');
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
    throw source.wrong('labels', `must be labels such as role=web,site=berlin, not ${JSON.stringify(text)}`);
  }
  return labels;
}

function readTls(source: Source): AgentTls {
  const [ca, cert, key] = [source.text('caFile'), source.text('tlsCert'), source.text('tlsKey')];
  if ((cert === undefined) !== (key === undefined)) {
    throw source.wrong(
      cert === undefined ? 'tlsKey' : 'tlsCert',
      'a certificate needs its key, and a key its certificate',
    );
  }
  const own = cert !== undefined && key !== undefined ? { cert, key } : undefined;
  const names = { cert: source.nameOf('tlsCert'), key: source.nameOf('tlsKey') };
  return {
    ...(ca !== undefined && { ca: readCertificates(source.nameOf('caFile'), ca).toString() }),
    ...(own !== undefined && textsOf(readKeyPair(names, own))),
  };
}

function textsOf({ cert, key }: Record<'cert' | 'key', Buffer>): Record<'cert' | 'key', string> {
  return { cert: cert.toString(), key: key.toString() };
}

/** systemd's LoadCredential= puts a file `join-token` into a directory that only the service can read. */
function readToken(source: Source, credentials: string | undefined): Pick<AgentConfig, 'joinToken' | 'joinTokenFile'> {
  const joinToken = source.text('joinToken');
  if (joinToken !== undefined) return { joinToken: joinToken.trim() };
  const joinTokenFile = source.text('joinTokenFile') ?? (credentials ? resolve(credentials, 'join-token') : undefined);
  return joinTokenFile === undefined ? {} : { joinTokenFile };
}

/** Reads the variables of the watchdog, if they are meant for this process and not for the one that started it. */
function readWatchdog(env: Environment): Pick<AgentConfig, 'watchdog'> {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: timeout, WATCHDOG_PID: pid, PATH: path = '' } = env;
  const timeoutMs = Number(timeout) / 1000;
  if (!socket || !(timeoutMs > 0) || (pid !== undefined && Number(pid) !== process.pid)) return {};
  return { watchdog: { socket, timeoutMs, path } };
}

/** Reads the limit of open files. "unlimited" is ignored, because the kernel limits open files in any case. */
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

/** Removes the folders that npm puts before the PATH of a script. Commands must not find programs there. */
function withoutNpm(path: string, env: Environment): string {
  if (env['npm_lifecycle_event'] === undefined) return path;
  const folders = path.split(':');
  return folders.filter((folder) => !/\/(node_modules\/\.bin|node-gyp-bin)$/.test(folder)).join(':');
}

function words(property: string): string[] {
  return property.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}
