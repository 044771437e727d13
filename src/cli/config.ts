/** The client's settings. Only this file of the CLI reads the environment. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import type { Command } from 'commander';
import { readCertificates } from '../node/files/pem.ts';
import { isLoopback } from '../node/network/loopback.ts';
import { CliError } from './cli-error.ts';
import { type Login, readLogin, readPrivate } from './login-file.ts';
import { addSettingOptions, type SettingOption } from './setting-options.ts';

export type Environment = Readonly<Partial<Record<string, string>>>;

export const DEFAULT_URL = 'http://127.0.0.1:7411';
const CA_FILE = 'EXECPLANE_CA_FILE';

/** All settings of the commands that talk to a server, in the order in which they are shown. */
export const CLIENT_SETTINGS: readonly SettingOption[] = [
  setting('url', 'URL', `URL of the server. Default: the server of the last login, else ${DEFAULT_URL}.`),
  setting('apiKey', 'API_KEY', 'API key. The variable is safer: other users of this host can see a flag.'),
  setting('dataDir', 'DATA_DIR', 'Data directory of a server on this host: the command uses its admin key.', './data'),
  setting(
    'caFile',
    'CA_FILE',
    'PEM file with the certificate authority of the server. Default: the public authorities.',
  ),
  setting('insecure', 'INSECURE', 'true: allow plain http to a server on another host.', 'false'),
];

/** The server's address and the credential for it. */
export interface ClientConfig {
  url: URL;
  apiKey: string;
  /** PEM. Absent: the authorities that Node trusts. */
  ca?: string;
  /** Number of attempts for each request. */
  attempts?: number;
}

/** The server of a login, before there is a key. */
export type LoginTarget = Pick<Login, 'insecure' | 'caFile'> & { url: URL | undefined };

/** The flags of the client, as commander reads them. */
export interface ClientFlags {
  url?: string;
  apiKey?: string;
  dataDir?: string;
  caFile?: string;
  insecure?: string;
}

/** Gives a command the flags of the client. */
export function addClientOptions(command: Command): Command {
  return addSettingOptions(command, CLIENT_SETTINGS);
}

/** Reads URL and key: flag, environment, login, then the admin key of a server on this host. Throws CliError (exit code 2). */
export function readClientConfig(flags: ClientFlags, env: Environment = environment()): ClientConfig {
  const login = readLoginIfNeeded(flags, env);
  const settings = new Settings(flags, env, login);
  const url = settings.url() ?? new URL(DEFAULT_URL);
  // A stored key is only for the server that it was stored for.
  const kept = login !== undefined && addressOf(new URL(login.url)) === addressOf(url) ? login : undefined;
  const givenCa = settings.given('caFile', 'CA_FILE');
  const ca =
    givenCa === undefined
      ? readCa(kept?.caFile, `ca_file in ${loginFile(env)}`)
      : readCa(givenCa, flags['caFile'] === undefined ? CA_FILE : '--ca-file');
  const apiKey = settings.apiKey() ?? kept?.apiKey ?? (isLoopback(url.hostname) ? readAdminKey(settings) : undefined);
  if (apiKey === undefined) {
    throw new CliError(`there is no API key for ${url.origin}.`, {
      exitCode: 2,
      hint: 'Set EXECPLANE_API_KEY, run "execplane login", or run this in the directory where the server was started (it reads data/admin.key).',
    });
  }
  return { url, apiKey, ...(ca === undefined ? {} : { ca }), ...(env['EXECPLANE_COMPLETING'] ? { attempts: 1 } : {}) };
}

/** Returns the address of a server without what does not distinguish it. Another path of a host may lead to another server. */
function addressOf({ origin, pathname }: URL): string {
  return origin + pathname.replace(/\/$/, '');
}

/** Reads the login. Errors in it are ignored if flags or variables name both server and key. */
function readLoginIfNeeded(flags: ClientFlags, env: Environment): Login | undefined {
  try {
    return readLogin(loginFile(env));
  } catch (error) {
    const settings = new Settings(flags, env, undefined);
    if (settings.url() === undefined || settings.apiKey() === undefined) throw error;
    return undefined;
  }
}

/** Returns the server for `login`, from flags and environment. An earlier login does not matter. */
export function readLoginTarget(flags: ClientFlags, env: Environment = environment()): LoginTarget {
  const settings = new Settings(flags, env, undefined);
  const caFile = settings.given('caFile', 'CA_FILE');
  const insecure = settings.isInsecure();
  return { url: settings.url(), ...(insecure && { insecure }), ...(caFile === undefined ? {} : { caFile }) };
}

/** Returns the settings of a client for a login that is being tried. */
export function configOf({ url, apiKey, caFile, insecure }: Login, env: Environment = environment()): ClientConfig {
  const checked = new Settings({ url, apiKey, insecure: String(insecure === true) }, env, undefined);
  const ca = readCa(caFile);
  const config = { url: checked.url() ?? new URL(url), apiKey: checked.apiKey() ?? apiKey };
  return ca === undefined ? config : { ...config, ca };
}

/** Path of the file in which `execplane login` stores its settings. */
export function loginFile(env: Environment = environment()): string {
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'execplane', 'login.json');
}

/** Whether stdout may be coloured (https://no-color.org). */
export function wantsColour(env: Environment = environment()): boolean {
  return isatty(1) && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

/** The environment, for processes that the CLI starts and for settings of libraries. */
export function environment(): Environment {
  return process.env;
}

/** The settings of a client. Flags override variables, and variables a stored login. An empty variable counts as absent. */
class Settings {
  readonly #flags: ClientFlags;
  readonly #env: Environment;
  readonly #login: Login | undefined;

  constructor(flags: ClientFlags, env: Environment, login: Login | undefined) {
    this.#flags = flags;
    this.#env = env;
    this.#login = login;
  }

  given(property: keyof ClientFlags, name: string): string | undefined {
    return this.#flags[property] ?? (this.#env[`EXECPLANE_${name}`] || undefined);
  }

  url(): URL | undefined {
    const text = this.given('url', 'URL') ?? this.#login?.url;
    if (text === undefined) return undefined;
    const name = this.#flags.url === undefined ? 'EXECPLANE_URL' : '--url';
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
      throw new CliError(`${name}: must be a URL such as https://execplane.example.com, not ${JSON.stringify(text)}`, {
        exitCode: 2,
      });
    }
    const url = new URL(text);
    if (/\/v1\/?$/.test(url.pathname)) {
      const base = text.trim().replace(/\/v1\/?$/, '');
      throw new CliError(`${name}: leave out /v1, with which every path of the server begins. Set it to ${base}`, {
        exitCode: 2,
      });
    }
    if (url.protocol === 'http:' && !isLoopback(url.hostname) && !this.isInsecure()) {
      throw new CliError(
        `${name}: plain http to ${url.hostname} would send the key unencrypted. Use https, or set EXECPLANE_INSECURE=true`,
        { exitCode: 2 },
      );
    }
    return url;
  }

  /** Returns the key. Throws CliError for one with a line break, such as the output of `cat`, which cannot be sent in a header. */
  apiKey(): string | undefined {
    const key = this.given('apiKey', 'API_KEY');
    if (key === undefined || /^[!-~]+$/.test(key)) return key;
    const name = this.#flags.apiKey === undefined ? 'EXECPLANE_API_KEY' : '--api-key';
    throw new CliError(`${name}: contains a line break, a space or another character that no key has.`, {
      exitCode: 2,
      hint: 'Set it to the key alone, such as xpk_…, without quotes or a line break after it.',
    });
  }

  isInsecure(): boolean {
    const text = this.given('insecure', 'INSECURE');
    return text === undefined ? this.#login?.insecure === true : /^(true|1)$/.test(text);
  }
}

function readCa(file: string | undefined, setting = CA_FILE): string | undefined {
  return file === undefined ? undefined : readCertificates(setting, file).toString();
}

function readAdminKey(settings: Settings): string | undefined {
  const file = join(settings.given('dataDir', 'DATA_DIR') ?? './data', 'admin.key');
  try {
    return readPrivate(file)?.trim() || undefined;
  } catch (error) {
    // The data directory of another user's server.
    if (error instanceof CliError && causeCode(error) === 'EACCES') return undefined;
    throw error;
  }
}

function setting(property: keyof ClientFlags, name: string, description: string, fallback?: string): SettingOption {
  const flag = `--${name.toLowerCase().replaceAll('_', '-')}`;
  return { property, variable: `EXECPLANE_${name}`, flag, default: fallback, description };
}

/** Returns the system's code (`EACCES`) for which a file could not be read. */
function causeCode(error: Error): unknown {
  const reason = error.cause instanceof Error ? error.cause.cause : undefined;
  return reason instanceof Error && 'code' in reason ? reason.code : undefined;
}
