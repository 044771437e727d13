import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AGENT_SETTINGS, readAgentConfig } from '../../src/agent/config.ts';

describe('agent settings', () => {
  test('have the defaults of the contract', () => {
    const config = readAgentConfig({}, {});
    expect(config).toEqual({
      url: new URL('http://127.0.0.1:7411'),
      dir: resolve('agent'),
      maxConcurrency: 64,
      labels: {},
      policyRequired: false,
      logLevel: 'info',
      logFormat: 'json',
      tls: {},
      runnerEnv: {},
    });
  });

  test('take a flag before its variable, and ignore an empty variable', () => {
    const env = { EXECPLANE_AGENT_DIR: '/a', EXECPLANE_MAX_CONCURRENCY: '', EXECPLANE_URL: 'https://x.example' };
    const config = readAgentConfig({ agentDir: '/b' }, env);
    expect(config).toMatchObject({ dir: '/b', maxConcurrency: 64, url: new URL('https://x.example') });
  });

  test.each([
    ['EXECPLANE_URL', 'example.com'],
    ['EXECPLANE_URL', 'ws://127.0.0.1'],
    ['EXECPLANE_URL', 'http://example.com'],
    ['EXECPLANE_MACHINE_ID', 'Web_1'],
    ['EXECPLANE_MACHINE_ID', 'dm-'],
    ['EXECPLANE_MAX_CONCURRENCY', '0'],
    ['EXECPLANE_MAX_CONCURRENCY', '1.5'],
    ['EXECPLANE_CA_FILE', '/nowhere/ca.pem'],
    ['EXECPLANE_INSECURE', 'perhaps'],
    ['EXECPLANE_LOG_LEVEL', 'loud'],
    ['EXECPLANE_LOG_FORMAT', 'xml'],
  ])('%s=%s is refused with the name of the setting and exit code 2', (variable, value) => {
    expect(() => readAgentConfig({}, { [variable]: value })).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`${variable}:`), exitCode: 2 }),
    );
  });

  test('plain http to another host is refused unless EXECPLANE_INSECURE allows it', () => {
    const config = readAgentConfig({}, { EXECPLANE_URL: 'http://10.0.0.1', EXECPLANE_INSECURE: 'true' });
    expect(config.url.href).toBe('http://10.0.0.1/');
  });

  test.each(['http://localhost:1', 'http://127.1.2.3:1', 'http://[::1]:1'])('%s counts as this host', (url) => {
    expect(readAgentConfig({ url }, {}).url.href).toBe(`${url}/`);
  });

  test("the runner's environment has the user, and no setting with a secret", () => {
    const env = {
      PATH: '/bin',
      HOME: '/root',
      LC_ALL: 'C',
      TZ: 'UTC',
      EXECPLANE_LOG_LEVEL: 'debug',
      EXECPLANE_JOIN_TOKEN: 'xpj_secret',
      EXECPLANE_API_KEY: 'xpk_secret',
      AWS_SECRET_ACCESS_KEY: 'secret',
    };
    expect(readAgentConfig({}, env).runnerEnv).toEqual({
      PATH: '/bin',
      HOME: '/root',
      LC_ALL: 'C',
      TZ: 'UTC',
      EXECPLANE_LOG_LEVEL: 'debug',
    });
  });

  test('a join token can come from a file, or from a credential of systemd', () => {
    expect(readAgentConfig({}, { EXECPLANE_JOIN_TOKEN_FILE: '/f' }).joinTokenFile).toBe('/f');
    expect(readAgentConfig({}, { CREDENTIALS_DIRECTORY: '/run/c' }).joinTokenFile).toBe(join('/run/c', 'join-token'));
    expect(readAgentConfig({ joinToken: ' xpj_x\n' }, {}).joinToken).toBe('xpj_x');
  });

  test('variables and flags are spelled alike', () => {
    const spelled = AGENT_SETTINGS.map(({ variable, flag }) => [variable, flag]);
    expect(spelled).toContainEqual(['EXECPLANE_AGENT_DIR', '--agent-dir']);
    expect(spelled).toContainEqual(['EXECPLANE_URL', '--url']);
  });
});

test('commands do not get the PATH that npm gives to scripts', () => {
  const path = '/srv/execplane/node_modules/.bin:/node_modules/.bin:/usr/lib/npm/node-gyp-bin:/usr/local/bin:/usr/bin';
  const { runnerEnv } = readAgentConfig({}, { PATH: path, npm_lifecycle_event: 'start' });
  expect(runnerEnv['PATH']).toBe('/usr/local/bin:/usr/bin');
  expect(readAgentConfig({}, { PATH: path }).runnerEnv['PATH']).toBe(path);
});
