/** The client's settings: the only place of the CLI that reads the environment. */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CliError } from './cli-error.ts';
import { addSettingOptions, type SettingOption } from './setting-options.ts';

type Environment = Readonly<Partial<Record<string, string>>>;

export const DEFAULT_URL = 'http://127.0.0.1:7411';

/** All settings of the commands that talk to a server, in the order in which they should be shown. */
export const CLIENT_SETTINGS: readonly SettingOption[] = [
  setting('url', 'URL', `The server; after a login that one, else ${DEFAULT_URL}.`),
  setting('apiKey', 'API_KEY', 'The key; as a flag other users of this host can see it, the variable is safer.'),
  setting('dataDir', 'DATA_DIR', 'Where a server on this host keeps its admin key.', './data'),
  setting('caFile', 'CA_FILE', 'PEM file of the certificate authority behind an https server.'),
  setting('insecure', 'INSECURE', 'true: allow plain http to another host.', 'false'),
];

/** Where requests go and how they prove themselves. */
export interface ClientConfig {
  url: URL;
  apiKey: string;
  /** PEM; absent: what Node trusts. */
  ca?: string;
}

/** Gives a command the flags of the client. */
export function addClientOptions(command: Command): Command {
  return addSettingOptions(command, CLIENT_SETTINGS);
}

/** Reads URL and key: flag, environment, login, then the admin key of a server on this host. Throws CliError (exit code 2). */
export function readClientConfig(flags: Environment, env: Environment = environment()): ClientConfig {
  const login = readLogin(env);
  const url = readUrl(flags['url'] ?? (env['EXECPLANE_URL'] || undefined) ?? login?.url ?? DEFAULT_URL, flags, env);
  const ca = readCa(flags['caFile'] ?? (env['EXECPLANE_CA_FILE'] || undefined));
  const given = flags['apiKey'] ?? (env['EXECPLANE_API_KEY'] || undefined);
  // A key goes only to the server it was given for.
  const kept = login !== undefined && new URL(login.url).origin === url.origin ? login.apiKey : undefined;
  const apiKey = given ?? kept ?? (isLoopback(url) ? readAdminKey(flags, env) : undefined);
  if (apiKey === undefined) {
    throw new CliError(`there is no API key for ${url.origin}.`, {
      exitCode: 2,
      hint: 'Set EXECPLANE_API_KEY, run "execplane login", or start this where the server was started (it reads data/admin.key).',
    });
  }
  return { url, apiKey, ...(ca === undefined ? {} : { ca }) };
}

/** Where `execplane login` keeps what it was told. */
export function loginFile(env: Environment = environment()): string {
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'execplane', 'login.json');
}

/** The URL to log in to: flag or environment, checked; undefined where none is given. */
export function readGivenUrl(flags: Environment, env: Environment = environment()): URL | undefined {
  const given = flags['url'] ?? (env['EXECPLANE_URL'] || undefined);
  return given === undefined ? undefined : readUrl(given, flags, env);
}

/** Whether output may be coloured (https://no-color.org). */
export function wantsColour(stream: NodeJS.WriteStream, env: Environment = environment()): boolean {
  return stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

/** The environment for processes that the CLI starts. */
export function environment(): Environment {
  return process.env;
}

function readUrl(text: string, flags: Environment, env: Environment): URL {
  const name = flags['url'] === undefined ? 'EXECPLANE_URL' : '--url';
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new CliError(`${name}: must be a URL such as https://execplane.example.com, not ${JSON.stringify(text)}`, {
      exitCode: 2,
    });
  }
  const url = new URL(text);
  const insecure = flags['insecure'] ?? env['EXECPLANE_INSECURE'] ?? '';
  if (url.protocol === 'http:' && !isLoopback(url) && !/^(true|1)$/.test(insecure)) {
    throw new CliError(
      `${name}: plain http to ${url.hostname} would send the key unencrypted. Use https, or set EXECPLANE_INSECURE=true`,
      { exitCode: 2 },
    );
  }
  return url;
}

function readCa(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CliError(`EXECPLANE_CA_FILE: ${(cause as Error).message}`, { exitCode: 2, cause });
  }
}

function readLogin(env: Environment): { url: string; apiKey: string } | undefined {
  const file = loginFile(env);
  const text = readPrivate(file);
  if (text === undefined) return undefined;
  try {
    const { url, api_key: apiKey } = JSON.parse(text) as { url: string; api_key: string };
    if (URL.canParse(url) && typeof apiKey === 'string') return { url, apiKey };
  } catch {
    // Told below.
  }
  throw new CliError(`${file} is damaged: run "execplane login" again.`, { exitCode: 2 });
}

function readAdminKey(flags: Environment, env: Environment): string | undefined {
  const dataDir = flags['dataDir'] ?? (env['EXECPLANE_DATA_DIR'] || './data');
  return readPrivate(join(dataDir, 'admin.key'))?.trim() || undefined;
}

/** A file with a secret in it; undefined where there is none that this user may read. */
function readPrivate(file: string): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if ((stat.mode & 0o077) !== 0) {
    throw new CliError(`${file} can be read by other users: close it with "chmod 0600 ${file}".`, { exitCode: 2 });
  }
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether this address leads to this host and to no other. */
export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

function setting(property: string, name: string, description: string, fallback?: string): SettingOption {
  const flag = `--${name.toLowerCase().replaceAll('_', '-')}`;
  return { property, variable: `EXECPLANE_${name}`, flag, default: fallback, description };
}
