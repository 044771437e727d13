/**
 * Files that settings and flags name, and that cannot be used: one sentence names the setting, the file and the remedy, and the exit code is 2.
 * No file makes the program wait.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { readAgentConfig } from '../../src/agent/config.ts';
import { readJoinToken } from '../../src/agent/link/enrolment/join-token.ts';
import { readClientConfig } from '../../src/cli/config.ts';
import { readEnvironmentFile } from '../../src/cli/exec/environment.ts';
import { readServerConfig } from '../../src/server/config.ts';
import { startServer } from '../../src/server/main.ts';
import { parseDatabaseUrl } from '../../src/store/postgres/connections/url.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const CERTIFICATE_TEXT = readFileSync(new URL('../server/fixtures/test-only-cert.pem', import.meta.url));
const OTHER_CERTIFICATE = fileURLToPath(new URL('../server/fixtures/other-test-only-cert.pem', import.meta.url));
const KEY_TEXT = readFileSync(new URL('../server/fixtures/test-only-key.pem', import.meta.url));

let dir: string;
let certificate: string;
let key: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-configured-'));
  certificate = join(dir, 'right.pem');
  writeFileSync(certificate, CERTIFICATE_TEXT);
  key = join(dir, 'right.key');
  writeFileSync(key, KEY_TEXT, { mode: 0o600 });
  return () => rmSync(dir, { recursive: true });
});

/** Starts a server with these settings. It rejects before it listens. */
const server = (settings: Record<string, string>) =>
  startServer(readServerConfig({ dataDir: join(dir, 'data'), port: '0', ...settings }, {}), pino({ level: 'silent' }));
const agent = (env: Record<string, string>) => readAgentConfig({}, env);
const signIn = { oidcIssuer: 'https://login.example', oidcClientId: 'console', oidcScopes: '*=admin' };
const client = { url: 'https://execplane.example', apiKey: 'xpk_of-this-test' };
const database = (parameters: string) => parseDatabaseUrl(`postgres://me@host/database?${parameters}`);

/** Each setting that names a file, as errors call it, and a program that reads it. */
const SETTINGS: readonly (readonly [name: string, program: string, read: (path: string) => unknown])[] = [
  ['EXECPLANE_TLS_CERT', 'server', (path) => server({ tlsCert: path, tlsKey: key })],
  ['EXECPLANE_TLS_KEY', 'server', (path) => server({ tlsCert: certificate, tlsKey: path })],
  ['EXECPLANE_AGENT_CA', 'server', (path) => server({ tlsCert: certificate, tlsKey: key, agentCa: path })],
  ['EXECPLANE_PROVIDERS', 'server', (path) => server({ providers: path })],
  ['EXECPLANE_SECRET_KEY_FILE', 'server', (path) => server({ secretKeyFile: path })],
  ['EXECPLANE_OIDC_CLIENT_SECRET_FILE', 'server', (path) => server({ ...signIn, oidcClientSecretFile: path })],
  ['its sslrootcert', 'server', (path) => database(`sslrootcert=${path}`)],
  ['its sslcert', 'server', (path) => database(`sslcert=${path}&sslkey=${key}`)],
  ['its sslkey', 'server', (path) => database(`sslcert=${certificate}&sslkey=${path}`)],
  ['EXECPLANE_CA_FILE', 'agent', (path) => agent({ EXECPLANE_CA_FILE: path })],
  ['EXECPLANE_TLS_CERT', 'agent', (path) => agent({ EXECPLANE_TLS_CERT: path, EXECPLANE_TLS_KEY: key })],
  ['EXECPLANE_TLS_KEY', 'agent', (path) => agent({ EXECPLANE_TLS_CERT: certificate, EXECPLANE_TLS_KEY: path })],
  ['EXECPLANE_JOIN_TOKEN_FILE', 'agent', (path) => readJoinToken({ joinTokenFile: path })],
  ['EXECPLANE_CA_FILE', 'client', (path) => readClientConfig(client, { EXECPLANE_CA_FILE: path })],
  ['--ca-file', 'client', (path) => readClientConfig({ ...client, caFile: path }, {})],
  ['--env-file', 'client', (path) => readEnvironmentFile(path)],
];

/** What can stand at a path, and the reason in the error. */
const ODD: readonly (readonly [what: string, reason: string, make: (path: string) => unknown])[] = [
  ['a directory', 'it is a directory: name another file', (path) => mkdirSync(path)],
  ['a FIFO', 'it is not a regular file: name another file', makeFifo],
  ['a socket', 'no such device or address: name another file', makeSocket],
  ['a link to itself', 'too many symbolic links encountered: name another file', (path) => symlinkSync(path, path)],
  [
    'a link to a device without end',
    'it is not a regular file: name another file',
    (path) => symlinkSync('/dev/zero', path),
  ],
  ['missing', 'there is no such file: make it, or correct the setting', () => {}],
  [
    'a link to nothing',
    'there is no such file: make it, or correct the setting',
    (path) => symlinkSync('nothing', path),
  ],
  ['a terabyte of zeros', 'bytes: name another file', makeHuge],
];

/** Makes a FIFO. A reader that waits for a writer is released after a while, so that its test fails and does not hang. */
function makeFifo(path: string): void {
  execFileSync('mkfifo', ['-m', '600', path]);
  const writer = spawn('sh', ['-c', 'sleep 20; exec 3<>"$0"', path], { detached: true, stdio: 'ignore' });
  onTestFinished(() => void process.kill(-(writer.pid ?? 0), 'SIGKILL'));
}

async function makeSocket(path: string): Promise<void> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(path, resolve));
  onTestFinished(() => void listener.close());
}

function makeHuge(path: string): void {
  writeFileSync(path, '', { mode: 0o600 });
  truncateSync(path, 2 ** 40);
}

/** Returns the error of `read`, which throws or rejects. */
async function errorOf(read: () => unknown): Promise<Error & { exitCode?: number }> {
  try {
    await read();
  } catch (error) {
    return error as Error;
  }
  throw new Error('the file was accepted');
}

function expectSentence(setting: string, error: Error & { exitCode?: number }, text: string): void {
  expect(error.message).toContain(text);
  expect(error.message.startsWith(`${setting}: `), error.message).toBe(true);
  expect(error.message).not.toContain('\n');
  // An error of the database's URL gets its exit code with the name of the setting (open-store.ts).
  if (!setting.startsWith('its ')) expect(error.exitCode).toBe(2);
}

describe.each(SETTINGS)('%s of the %s', (setting, _program, read) => {
  test('is refused if it is no file that can be read', async () => {
    for (const [index, [what, reason, make]] of ODD.entries()) {
      const path = join(dir, `odd-${index}`);
      await make(path);
      const error = await errorOf(() => read(path));
      expectSentence(setting, error, `${path} cannot be read: `);
      expect(error.message.endsWith(reason), `${what}: ${error.message}`).toBe(true);
    }
  });

  test.runIf(isRoot)('is refused if this user may not read it', async () => {
    const path = join(dir, 'closed');
    writeFileSync(path, 'x', { mode: 0o600 });
    for (const own of [dir, certificate, key]) chownSync(own, NOBODY, NOBODY);
    chmodSync(dir, 0o700);
    process.seteuid?.(NOBODY);
    const reading = errorOf(() => read(path));
    process.seteuid?.(0);
    const reason = `permission denied: let the user of this process (uid ${NOBODY}) read it`;
    expectSentence(setting, await reading, `${path} cannot be read: ${reason}`);
  });
});

describe('a file with the wrong content is refused', () => {
  const NOT_UTF8 = Buffer.from([0xff, 0xfe, 0x00, 0x78]);
  const NO_CERTIFICATE = 'holds no certificate in PEM: name another file';
  const NO_KEY = 'holds no private key in PEM: name another file';
  const WRONG: Record<string, readonly [empty: string, notUtf8: string]> = {
    EXECPLANE_TLS_CERT: [NO_CERTIFICATE, NO_CERTIFICATE],
    EXECPLANE_TLS_KEY: [NO_KEY, NO_KEY],
    EXECPLANE_AGENT_CA: [NO_CERTIFICATE, NO_CERTIFICATE],
    EXECPLANE_PROVIDERS: ['is not JSON', 'it is not UTF-8 text'],
    EXECPLANE_SECRET_KEY_FILE: ['it is empty', 'it is not UTF-8 text'],
    EXECPLANE_OIDC_CLIENT_SECRET_FILE: ['it is empty', 'it is not UTF-8 text'],
    EXECPLANE_CA_FILE: [NO_CERTIFICATE, NO_CERTIFICATE],
    EXECPLANE_JOIN_TOKEN_FILE: ['it is empty', 'it is not UTF-8 text'],
    'its sslrootcert': [NO_CERTIFICATE, NO_CERTIFICATE],
    'its sslcert': [NO_CERTIFICATE, NO_CERTIFICATE],
    'its sslkey': [NO_KEY, NO_KEY],
    '--ca-file': [NO_CERTIFICATE, NO_CERTIFICATE],
  };

  test.each(SETTINGS.filter(([setting]) => setting !== '--env-file'))(
    '%s of the %s',
    async (setting, _program, read) => {
      const path = join(dir, 'content');
      const [empty, notUtf8] = WRONG[setting] ?? ['', ''];
      for (const [content, reason] of [
        ['', empty],
        [NOT_UTF8, notUtf8],
      ] as const) {
        writeFileSync(path, content, { mode: 0o600 });
        expectSentence(setting, await errorOf(() => read(path)), reason);
      }
    },
  );

  test('--env-file may be empty, and is refused if it is not UTF-8', async () => {
    const path = join(dir, 'variables');
    writeFileSync(path, '');
    expect(readEnvironmentFile(path)).toEqual({});
    writeFileSync(path, NOT_UTF8);
    expectSentence(
      '--env-file',
      await errorOf(() => readEnvironmentFile(path)),
      'it is not UTF-8 text: save it as UTF-8',
    );
  });

  test('a certificate with a damaged one behind it, a key of another certificate, and a locked key', async () => {
    const chain = join(dir, 'chain.pem');
    const damaged = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
    writeFileSync(chain, `${readFileSync(certificate, 'utf8')}${damaged}`);
    const pair = (cert: string, keyFile: string) => errorOf(() => server({ tlsCert: cert, tlsKey: keyFile }));
    expectSentence('EXECPLANE_TLS_CERT', await pair(chain, key), `certificate 2 in ${chain} is damaged: copy it again`);
    expectSentence('EXECPLANE_TLS_KEY', await pair(OTHER_CERTIFICATE, key), 'is the key of another certificate');
    const locked = join(dir, 'locked.key');
    const cipher = { cipher: 'aes-256-cbc', passphrase: 'secret' };
    const pem = createPrivateKey(KEY_TEXT).export({ type: 'pkcs8', format: 'pem', ...cipher });
    writeFileSync(locked, pem, { mode: 0o600 });
    expectSentence('EXECPLANE_TLS_KEY', await pair(certificate, locked), 'is encrypted with a passphrase: decrypt it');
  });
});

test('a certificate with its chain, comments and Windows line ends, and a key with its parameters, are accepted', () => {
  const chain = join(dir, 'chain.pem');
  const certificates = [certificate, OTHER_CERTIFICATE]
    .map((path) => `# a comment\n${readFileSync(path, 'utf8')}`)
    .join('');
  writeFileSync(chain, certificates.replaceAll('\n', '\r\n'));
  // As openssl writes them before a key on the curve prime256v1.
  writeFileSync(key, `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${KEY_TEXT}`);
  expect(agent({ EXECPLANE_CA_FILE: chain, EXECPLANE_TLS_CERT: chain, EXECPLANE_TLS_KEY: key }).tls).toEqual({
    ca: readFileSync(chain, 'utf8'),
    cert: readFileSync(chain, 'utf8'),
    key: readFileSync(key, 'utf8'),
  });
});

test('a byte order mark before the content is skipped', () => {
  const path = join(dir, 'marked');
  writeFileSync(path, '\ufeffA=1\n');
  expect(readEnvironmentFile(path)).toEqual({ A: '1' });
  writeFileSync(path, '\ufeffxpj_token\r\n');
  expect(readJoinToken({ joinTokenFile: path })).toBe('xpj_token');
});

test('a pipe that the shell makes is read to its end', () => {
  const script = `import { readEnvironmentFile } from '${new URL('../../src/cli/exec/environment.ts', import.meta.url)}';
    console.log(JSON.stringify(readEnvironmentFile(process.argv[1])));`;
  const line = `${process.execPath} --input-type=module -e "$SCRIPT" <(sleep 0.2; echo A=1; sleep 0.2; echo B=2)`;
  const printed = execFileSync('bash', ['-c', line], { encoding: 'utf8', env: { ...process.env, SCRIPT: script } });
  expect(JSON.parse(printed)).toEqual({ A: '1', B: '2' });
});

const DIRECTORIES: readonly (readonly [string, RegExp, (path: string) => unknown])[] = [
  ['a file', /is not a directory: name another one$/, (path) => writeFileSync(path, '')],
  ['a FIFO', /is not a directory: name another one$/, makeFifo],
  [
    'a link to itself',
    /too many symbolic links encountered: name another directory$/,
    (path) => symlinkSync(path, path),
  ],
];
test.each(DIRECTORIES)(
  'the data directory and that of the packages are refused if they are %s',
  async (_what, text, make) => {
    const path = join(dir, 'odd');
    await make(path);
    for (const [setting, property] of [
      ['EXECPLANE_DATA_DIR', 'dataDir'],
      ['EXECPLANE_PACKAGES_DIR', 'packagesDir'],
    ] as const) {
      const error = await errorOf(() => server({ [property]: path }));
      expectSentence(setting, error, path);
      expect(error.message).toMatch(text);
    }
  },
);

test('a file in the data directory that is no file is refused', async () => {
  const kinds: readonly (readonly [string, (path: string) => void])[] = [
    ['it is a directory', mkdirSync],
    ['it is not a regular file', makeFifo],
    ['too many symbolic links encountered', (path) => symlinkSync(path, path)],
  ];
  const dataDir = join(dir, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  for (const name of [
    'admin.key',
    'secret.key',
    'webhook.secret',
    'execplane.db',
    'execplane.db-wal',
    'execplane.db.lock',
  ]) {
    for (const [reason, make] of kinds) {
      const path = join(dataDir, name);
      make(path);
      const error = await errorOf(() => server({ dataDir }));
      expectSentence('EXECPLANE_DATA_DIR', error, `${path} cannot be read: ${reason}. Remove it`);
      rmSync(path, { recursive: true });
    }
  }
});
