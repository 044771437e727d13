/** The server's settings: one table. The environment, the CLI's flags and the documentation are derived from it. */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { ConfigError } from '../node/config-error.ts';
import { readGroupScopes } from './group-scopes.ts';
import {
  ADMIN_KEY,
  DATABASE_URL,
  type Described,
  expectation,
  PEER_ADDRESS,
  PUBLIC_URL,
  parseSetting,
} from './setting-values.ts';
import { readTrustedProxies } from './trusted-proxies.ts';

const Count = (description: string, fallback: number, range: { minimum?: number; maximum?: number } = {}) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, ...range, default: fallback, description });
const Text = (description: string, options: { default?: string; pattern?: string } = {}) =>
  Type.String({ minLength: 1, ...options, description });

/** Settings whose values never appear in an error. */
const SECRETS = new Set<string>(['apiKey', 'databaseUrl']);

/** A property `dataDir` is the variable `EXECPLANE_DATA_DIR` and the flag `--data-dir`. */
const ServerConfigSchema = Type.Object({
  host: Text('Address to listen on.', { default: '127.0.0.1' }),
  port: Count('Port to listen on. 0: any free port.', 7411, { maximum: 65_535 }),
  dataDir: Text('Directory of the database and the keys.', { default: './data' }),
  databaseUrl: Type.Optional(
    Text(
      'PostgreSQL database to use instead of the SQLite file, for several servers: postgres://USER@HOST:5432/DATABASE.',
      { pattern: DATABASE_URL },
    ),
  ),
  secretKeyFile: Type.Optional(
    Text(
      'File with the secret key, 32 bytes in base64url. All servers of a database need the same key. Unset: the server makes secret.key in its data directory.',
    ),
  ),
  clusterAddress: Type.Optional(
    Text(
      'HOST:PORT at which the other servers of its PostgreSQL database reach this one, and on which it listens for them. Unset: everything between servers goes through the database, at more than twice the cost.',
      { pattern: PEER_ADDRESS },
    ),
  ),
  publicUrl: Type.Optional(
    Text(
      'URL by which clients and agents reach this server, such as https://execplane.example. It is used in every URL that the server gives out. Unset: the host of the request.',
      { pattern: PUBLIC_URL },
    ),
  ),
  packagesDir: Type.Optional(
    Text(
      'Folder with the packages of the agent and SHA256SUMS. If set, the server serves them, and the installer at /install.sh.',
    ),
  ),
  providers: Type.Optional(Text('JSON file with the providers that create, wake and delete machines.')),
  apiKey: Type.Optional(
    Text(
      'The admin key. Unset: the server makes one at its first start and keeps it in the data directory (mode 0600).',
      { pattern: ADMIN_KEY },
    ),
  ),
  oidcIssuer: Type.Optional(
    Text('OpenID Connect provider whose users may sign in to the console, such as https://login.example.com.', {
      pattern: PUBLIC_URL,
    }),
  ),
  oidcClientId: Type.Optional(Text('Client id of the console at the OpenID Connect provider.')),
  oidcClientSecretFile: Type.Optional(
    Text('File with the client secret of the console. Unset: the console is a public client.'),
  ),
  oidcScopes: Type.Optional(
    Text(
      'Scopes of the members of each group: GROUP=SCOPE,SCOPE;GROUP=SCOPE, such as ops=admin;dev=executions:write. The group * contains every user.',
    ),
  ),
  oidcGroupsClaim: Text('The claim that lists the groups of a user.', { default: 'groups' }),
  maxOutputBytes: Count('Bytes kept of stdout, and of stderr, of an execution.', 16_777_216),
  streamBufferBytes: Count(
    'With output_mode "stream": unread bytes of a stream above which the command waits.',
    16_777_216,
    { minimum: 65_536, maximum: 1_073_741_824 },
  ),
  streamIdleMs: Count(
    'With output_mode "stream": time without a reader, in ms, after which later output is kept only up to EXECPLANE_MAX_OUTPUT_BYTES.',
    3_600_000,
    { minimum: 100, maximum: 315_360_000_000 },
  ),
  terminalDetachedMs: Count('Time after which a terminal without a client is closed, in ms.', 86_400_000, {
    minimum: 1000,
    maximum: 315_360_000_000,
  }),
  maxBodyBytes: Count('Largest request body, in bytes.', 16_777_216, { minimum: 1024, maximum: 268_435_456 }),
  maxBodiesBytes: Count(
    'Bytes of request bodies that the server holds at once. One API key may use half of them.',
    268_435_456,
    { minimum: 1024 },
  ),
  maxHeaderBytes: Count('Largest request line with headers, in bytes.', 16_384, { minimum: 1024, maximum: 1_048_576 }),
  maxJsonDepth: Count('Maximum nesting depth of arrays and objects in a body.', 32, { minimum: 2, maximum: 1000 }),
  maxArgs: Count('Maximum number of elements of a command.', 262_144, { minimum: 1, maximum: 1_000_000 }),
  maxArgsBytes: Count(
    'Maximum size of a command in bytes, each element with its terminator. Linux itself accepts 2 MiB by default and 6 MiB at most, environment included.',
    8_388_608,
    { minimum: 1024 },
  ),
  maxEnv: Count('Maximum number of environment variables of an execution.', 10_000),
  maxEnvBytes: Count(
    'Maximum size of the environment of an execution in bytes, each name and value with a terminator.',
    8_388_608,
  ),
  headersTimeoutMs: Count('Time within which the headers of a request must arrive, in ms.', 15_000, {
    minimum: 100,
    maximum: 600_000,
  }),
  requestTimeoutMs: Count('Time within which a whole request must arrive, in ms.', 300_000, {
    minimum: 100,
    maximum: 86_400_000,
  }),
  queueTtlMs: Count(
    'Time for which an execution may wait for its start, in ms, if the request has no start_within_ms.',
    3_600_000,
    { minimum: 1, maximum: 315_360_000_000 },
  ),
  cancelGraceMs: Count('Time between SIGTERM and SIGKILL when cancelling, in ms.', 5000, { maximum: 86_400_000 }),
  maxQueuedBytesPerKey: Count(
    'Maximum bytes that one API key keeps on the server: its waiting requests, the commands of its running batches, and those of its schedules.',
    67_108_864,
    { minimum: 1 },
  ),
  maxQueuedBytes: Count('Maximum size of all waiting requests of one machine, in bytes.', 268_435_456, { minimum: 1 }),
  maxQueue: Count('Maximum number of executions that may wait for one machine.', 10_000, { minimum: 1 }),
  agentLostAfterMs: Count(
    'Time for which an agent may be offline before its running commands end as agent_lost, in ms.',
    900_000,
    { minimum: 1 },
  ),
  retentionDays: Count('Days for which finished executions and batches are kept. 0: forever.', 30, { maximum: 36_500 }),
  maxDatabaseBytes: Count(
    'Size of the database, in bytes, above which the oldest finished executions are deleted. 0: no limit.',
    0,
  ),
  maxCreatesPerSecond: Count(
    'Executions, terminals, batches and schedules that one API key may create each second. The executions of a batch do not count. 0: no limit.',
    0,
  ),
  maxStreamsPerKey: Count('Streams and waits that one API key may hold open at once.', 4096, { minimum: 1 }),
  maxFrameBytes: Count('Largest first message (hello) of an agent, in bytes.', 524_288, {
    minimum: 65_536,
    maximum: 268_435_456,
  }),
  maxFramesPerSecond: Count(
    'Control messages that one agent may send each second. A burst may have twice as many.',
    1000,
    { minimum: 10 },
  ),
  maxArtifactBytes: Count('Largest file that is kept as an artifact, in bytes.', 268_435_456),
  artifactQuotaBytes: Count(
    'Total size of all artifacts, in bytes. Artifacts that do not fit are not kept.',
    10_737_418_240,
  ),
  artifactTimeoutMs: Count('Time limit for collecting the artifacts of an execution, in ms.', 300_000, {
    maximum: 86_400_000,
  }),
  auditRetentionDays: Count('Days for which the audit trail is kept. 0: until it was exported and released.', 0, {
    maximum: 36_500,
  }),
  artifactRetentionDays: Count('Days for which artifacts are kept. 0: forever.', 30, { maximum: 36_500 }),
  shutdownMs: Count('Time that a stopping server gives open requests to finish, in ms.', 10_000, { maximum: 600_000 }),
  tlsCert: Type.Optional(Text('PEM file with the certificate chain. If set, the server speaks HTTPS.')),
  tlsKey: Type.Optional(Text('PEM file with the private key of the certificate.')),
  agentCa: Type.Optional(
    Text('PEM file with a certificate authority. If set, agents need a client certificate that it signed.'),
  ),
  trustProxy: Type.Optional(
    Text(
      'Proxies in front of the server whose X-Forwarded-For and X-Forwarded-Proto headers are trusted: their number, or their addresses (10.0.0.0/8).',
    ),
  ),
  allowPrivateCallbacks: Type.Boolean({
    default: false,
    description: 'true: callback_url may also be an address that is not public (loopback, private networks).',
  }),
  logLevel: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info',
    description: 'Lowest level that is logged.',
  }),
  logFormat: Type.Enum(['json', 'text'], {
    default: 'json',
    description: 'json: one object per line. text: lines for people.',
  }),
  logRequests: Type.Enum(['none', 'writes', 'all'], {
    default: 'writes',
    description:
      'Requests that are logged at info with their duration: none, writes (those that may change something), or all.',
  }),
});
export type ServerConfig = Static<typeof ServerConfigSchema>;

/** A setting as the CLI and the documentation show it. */
export interface Setting {
  property: keyof ServerConfig;
  variable: string;
  flag: string;
  default: string | undefined;
  description: string;
}

const SCHEMAS = Object.entries(ServerConfigSchema.properties) as [keyof ServerConfig, Described][];

/** All settings of the server, in the order in which the CLI and the documentation show them. */
export const SERVER_SETTINGS: readonly Setting[] = SCHEMAS.map(([property, schema]) => ({
  property,
  variable: `EXECPLANE_${words(property).join('_').toUpperCase()}`,
  flag: `--${words(property).join('-')}`,
  default: schema.default === undefined ? undefined : String(schema.default),
  description: schema.description ?? '',
}));

/** Reads the settings. A flag (by property name) wins over its variable; an empty value counts as absent. Throws ConfigError. */
export function readServerConfig(
  flags: Readonly<Partial<Record<string, string>>> = {},
  env: Readonly<Partial<Record<string, string>>> = process.env,
): ServerConfig {
  const config: Record<string, unknown> = {};
  SERVER_SETTINGS.forEach((setting, index) => {
    const [property, schema] = SCHEMAS[index] as (typeof SCHEMAS)[number];
    const flagged = flags[property];
    const raw = flagged ?? (env[setting.variable] || undefined);
    const value = raw === undefined ? schema.default : parseSetting(schema, raw);
    if (value === undefined) return;
    if (!Value.Check(schema, value)) {
      const name = flagged === undefined ? setting.variable : setting.flag;
      throw new ConfigError(
        `${name}: ${expectation(schema)}${SECRETS.has(property) ? '' : `, not ${JSON.stringify(raw)}`}`,
      );
    }
    config[property] = value;
  });
  const complete = config as ServerConfig;
  if ((complete.tlsCert === undefined) !== (complete.tlsKey === undefined)) {
    throw new ConfigError('EXECPLANE_TLS_CERT and EXECPLANE_TLS_KEY: set both or neither');
  }
  if (complete.agentCa !== undefined && complete.tlsCert === undefined) {
    throw new ConfigError(
      'EXECPLANE_AGENT_CA: needs EXECPLANE_TLS_CERT, because the server itself checks the certificates',
    );
  }
  if (complete.databaseUrl !== undefined) assertShared(complete);
  else if (complete.clusterAddress !== undefined) {
    throw new ConfigError('EXECPLANE_CLUSTER_ADDRESS: needs EXECPLANE_DATABASE_URL: servers on SQLite have no others');
  }
  assertOpenIdConnect(complete);
  readTrustedProxies(complete.trustProxy);
  return complete;
}

/** Throws ConfigError if a server with a shared database lacks a value that all its servers must share. */
function assertShared({ apiKey, secretKeyFile, maxDatabaseBytes }: ServerConfig): void {
  if (maxDatabaseBytes > 0) {
    throw new ConfigError(
      'EXECPLANE_MAX_DATABASE_BYTES: applies to the SQLite file only; PostgreSQL reuses space by itself',
    );
  }
  if (secretKeyFile === undefined) {
    throw new ConfigError('EXECPLANE_DATABASE_URL: needs EXECPLANE_SECRET_KEY_FILE, the same key for every server');
  }
  if (apiKey === undefined) {
    throw new ConfigError('EXECPLANE_DATABASE_URL: needs EXECPLANE_API_KEY, the same admin key for every server');
  }
}

/** Throws ConfigError if the settings of OpenID Connect are incomplete: it needs a client id and a group with a scope. */
function assertOpenIdConnect({ oidcIssuer, oidcClientId, oidcScopes, oidcClientSecretFile }: ServerConfig): void {
  if (oidcIssuer === undefined) {
    const alone = oidcClientId ?? oidcScopes ?? oidcClientSecretFile;
    if (alone !== undefined)
      throw new ConfigError('EXECPLANE_OIDC_ISSUER: must be set if another EXECPLANE_OIDC_ setting is');
    return;
  }
  if (oidcClientId === undefined) throw new ConfigError('EXECPLANE_OIDC_ISSUER: needs EXECPLANE_OIDC_CLIENT_ID');
  if (oidcScopes === undefined) {
    throw new ConfigError('EXECPLANE_OIDC_ISSUER: needs EXECPLANE_OIDC_SCOPES: without it, nobody can sign in');
  }
  readGroupScopes(oidcScopes);
}

/** The part of the server's environment that hooks of providers get: no variable that could hold a secret. */
export function readHookEnvironment(
  env: Readonly<Partial<Record<string, string>>> = process.env,
): Record<string, string> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin', HOME = '/', LANG = 'C.UTF-8' } = env;
  return { PATH, HOME, LANG };
}

function words(property: string): string[] {
  return property.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}
