import { expect, test } from 'vitest';
import { ConfigError } from '../../src/node/config-error.ts';
import { readServerConfig, SERVER_SETTINGS } from '../../src/server/config.ts';

test('the defaults are those of the contract', () => {
  expect(readServerConfig({}, {})).toMatchObject({
    host: '127.0.0.1',
    port: 7411,
    dataDir: './data',
    maxOutputBytes: 16_777_216,
    maxBodyBytes: 16_777_216,
    queueTtlMs: 3_600_000,
    agentLostAfterMs: 900_000,
    retentionDays: 30,
    logLevel: 'info',
    logRequests: 'writes',
  });
  expect(readServerConfig({}, {})).not.toHaveProperty('apiKey');
});

test('every setting has a variable and a flag of the same name', () => {
  const names = SERVER_SETTINGS.map(({ variable, flag }) => [variable, flag]);
  expect(names).toContainEqual(['EXECPLANE_DATA_DIR', '--data-dir']);
  expect(names).toContainEqual(['EXECPLANE_AGENT_LOST_AFTER_MS', '--agent-lost-after-ms']);
  for (const { variable, flag, description } of SERVER_SETTINGS) {
    expect(`EXECPLANE_${flag.slice(2).replaceAll('-', '_').toUpperCase()}`).toBe(variable);
    expect(description).not.toBe('');
  }
});

test('a flag overrides its variable; an empty variable is ignored', () => {
  const env = { EXECPLANE_PORT: '1', EXECPLANE_HOST: '' };
  expect(readServerConfig({ port: '2' }, env)).toMatchObject({ port: 2, host: '127.0.0.1' });
  expect(readServerConfig({}, env).port).toBe(1);
});

test.each([
  ['EXECPLANE_PORT', 'http'],
  ['EXECPLANE_PORT', '65536'],
  ['EXECPLANE_PORT', '-1'],
  ['EXECPLANE_PORT', '80.5'],
  ['EXECPLANE_MAX_BODY_BYTES', '1e6'],
  ['EXECPLANE_RETENTION_DAYS', 'never'],
  ['EXECPLANE_LOG_LEVEL', 'loud'],
  ['EXECPLANE_LOG_FORMAT', 'xml'],
  ['EXECPLANE_LOG_REQUESTS', 'some'],
  ['EXECPLANE_API_KEY', 'x'],
  ['EXECPLANE_TRUST_PROXY', 'true'],
  ['EXECPLANE_TLS_CERT', 'cert.pem'],
])('%s=%s stops the start with a message that names it', (variable, value) => {
  const read = () => readServerConfig({}, { [variable]: value });
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(variable);
});

test('an error names a wrong flag as a flag, and does not repeat a wrong key', () => {
  expect(() => readServerConfig({ port: 'x' }, {})).toThrow('--port');
  expect(() => readServerConfig({}, { EXECPLANE_API_KEY: 'hun ter2' })).toThrow(/^EXECPLANE_API_KEY: [^2]*$/);
});

test('a URL of another database and an empty flag are refused with what they must be', () => {
  const read = (databaseUrl: string) => () => readServerConfig({}, { EXECPLANE_DATABASE_URL: databaseUrl });
  expect(read('mysql://db/x')).toThrow('EXECPLANE_DATABASE_URL: must be a URL such as postgres://');
  expect(() => readServerConfig({ host: '' }, {})).toThrow('--host: must not be empty');
});
