/** Parses a PostgreSQL URL as libpq does: several hosts, `sslmode`, certificates. */
import type { ConnectionOptions } from 'node:tls';
import { readCertificates, readKeyPair } from '../../../node/files/pem.ts';

/** The URL cannot be used. The message contains the reason and never the password. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}

/** The settings for connecting to one of the hosts. */
export interface Target {
  host: string;
  port: number;
}

export interface DatabaseAddress {
  targets: readonly Target[];
  user: string;
  password?: string;
  database: string;
  /** Ways to connect, tried in turn on each host. false: without TLS. */
  encryptions: readonly (false | ConnectionOptions)[];
  /** libpq's options, such as `-c search_path=x`. */
  options?: string;
  applicationName: string;
  connectTimeoutMs: number;
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof SSL_MODES)[number];
/** The supported parameters. Any other one is refused, because it would have no effect. */
const PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'options', 'application_name', 'connect_timeout'];
/** The values of `target_session_attrs` that are accepted, because they state what every connection does: it looks for the primary. */
const PRIMARY = ['read-write', 'primary'];
const ENCODED = 'in its user and password, write @ as %40, : as %3A, / as %2F, ? as %3F and % as %25';
const MAX_PORT = 65_535;
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** Parses a URL such as `postgres://USER:PASSWORD@HOST1:PORT,HOST2:PORT/DATABASE?sslmode=verify-full`. Throws DatabaseUrlError. */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const parts = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^/?]*)\/([^?]*)(?:\?(.*))?$/.exec(text);
  if (parts === null)
    throw new DatabaseUrlError(`it is not of the form postgres://USER@HOST:PORT/DATABASE; ${ENCODED}`);
  const [, credentials = '', hosts = '', database = '', query = ''] = parts;
  // A password with an unencoded @, / or ? is split there. Its rest would count as a host or a parameter, and messages would show it.
  if (`${hosts}${database}${query}`.includes('@')) {
    throw new DatabaseUrlError(ENCODED);
  }
  const [user = '', password] = credentials.split(/:(.*)/s).map(decode);
  if (user === '' || database === '') throw new DatabaseUrlError('it names no user, or no database');
  const parameters = readParameters(query);
  const options = parameters.get('options');
  return {
    targets: hosts.split(',').map(readTarget),
    user,
    ...(password !== undefined && { password }),
    database: decode(database),
    encryptions: encryptionsOf(parameters),
    ...(options !== undefined && { options }),
    applicationName: parameters.get('application_name') ?? 'execplane',
    connectTimeoutMs: Number(parameters.get('connect_timeout') ?? 0) * 1000 || DEFAULT_CONNECT_TIMEOUT_MS,
  };
}

function readParameters(query: string): Map<string, string> {
  const parameters = new Map(new URLSearchParams(query));
  for (const [name, value] of parameters) {
    const isPrimary = name === 'target_session_attrs' && PRIMARY.includes(value);
    if (isPrimary || PARAMETERS.includes(name)) continue;
    throw new DatabaseUrlError(
      `its parameter ${name} is not supported: remove it (supported: ${PARAMETERS.join(', ')})`,
    );
  }
  return parameters;
}

/** Parses a host: `host`, `host:5432`, `[::1]:5432`, `%2Fvar%2Frun%2Fpostgresql`. */
function readTarget(text: string): Target {
  const [, host = '', port = '5432'] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text) ?? [];
  if (host === '' || Number(port) > MAX_PORT) {
    throw new DatabaseUrlError('one of its hosts is not of the form HOST:PORT (an IPv6 address: [::1]:5432)');
  }
  return { host: decode(host.replace(/^\[(.*)\]$/, '$1')), port: Number(port) };
}

function encryptionsOf(parameters: ReadonlyMap<string, string>): (false | ConnectionOptions)[] {
  const mode = SSL_MODES.find((known) => known === (parameters.get('sslmode') ?? 'prefer'));
  if (mode === undefined) throw new DatabaseUrlError(`its sslmode is none of ${SSL_MODES.join(', ')}`);
  const tls = tlsOptions(mode, parameters);
  if (mode === 'disable') return [false];
  if (mode === 'allow') return [false, tls];
  return mode === 'prefer' ? [tls, false] : [tls];
}

/** Returns the options of TLS. `require` with a root certificate checks the server's certificate, as in libpq. */
function tlsOptions(mode: SslMode, parameters: ReadonlyMap<string, string>): ConnectionOptions {
  const [ca, cert, key] = ['sslrootcert', 'sslcert', 'sslkey'].map((name) => parameters.get(name));
  if ((cert === undefined) !== (key === undefined))
    throw new DatabaseUrlError('sslcert needs sslkey, and sslkey sslcert');
  const own = cert !== undefined && key !== undefined ? { cert, key } : undefined;
  const checked = mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && ca !== undefined);
  return {
    ...(ca !== undefined && { ca: usable(() => readCertificates('its sslrootcert', ca)) }),
    ...(own !== undefined && usable(() => readKeyPair({ cert: 'its sslcert', key: 'its sslkey' }, own))),
    rejectUnauthorized: checked,
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  };
}

/** Returns what `read` returns. Throws DatabaseUrlError if the file cannot be used. */
function usable<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new DatabaseUrlError((cause as Error).message, { cause });
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new DatabaseUrlError('it has a % that is not followed by two hexadecimal digits', { cause });
  }
}
