/** A secret on disk that other users can read prevents the start, with a message that names the remedy. New files are private. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { readAgentConfig } from '../../src/agent/config.ts';
import { readCredential } from '../../src/agent/link/enrolment/credential.ts';
import { prepareDirectory } from '../../src/agent/processes/state-directory.ts';
import { writePrivateJson } from '../../src/node/private-file.ts';
import { readServerConfig } from '../../src/server/config.ts';
import { startServer } from '../../src/server/main.ts';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { agentDirectory, linkedRunner } from '../helpers/runner-process.ts';

let dir: string;
beforeEach(() => {
  dir = makeDirectory('files');
  return () => removeDirectory(dir);
});

const start = (settings: Record<string, string> = {}) =>
  startServer(readServerConfig({ dataDir: dir, port: '0', ...settings }, {}), pino({ level: 'silent' }));

test.each(['admin.key', 'secret.key', 'webhook.secret', 'execplane.db'])(
  'the server does not start if others can read its %s',
  async (name) => {
    await (await start()).stop();
    chmodSync(join(dir, name), 0o640);
    await expect(start()).rejects.toThrow(`${name} is open to other users (mode 0640): close it with "chmod 0600`);
    chmodSync(join(dir, name), 0o600);
    await (await start()).stop();
  },
);

test('the server refuses a data directory that other users can enter, and makes its own files private', async () => {
  const dataDir = join(dir, 'new');
  const server = await start({ dataDir });
  const modes = Object.fromEntries(readdirSync(dataDir).map((name) => [name, mode(join(dataDir, name))]));
  await server.stop();
  expect(mode(dataDir)).toBe(0o700);
  expect(new Set(Object.values(modes))).toEqual(new Set([0o600]));
  expect(Object.keys(modes)).toEqual(expect.arrayContaining(['admin.key', 'secret.key', 'execplane.db']));
  chmodSync(dataDir, 0o755);
  await expect(start({ dataDir })).rejects.toThrow(/EXECPLANE_DATA_DIR: .*mode 0755.*chmod 0700/);
});

test('the private key of a certificate may be readable by a group, but not by others', async () => {
  const [tlsCert, tlsKey] = ['cert', 'key'].map((part) => {
    const file = join(dir, `${part}.pem`);
    writeFileSync(file, readFileSync(new URL(`../server/fixtures/test-only-${part}.pem`, import.meta.url)));
    return file;
  }) as [string, string];
  chmodSync(tlsKey, 0o644);
  await expect(start({ tlsCert, tlsKey })).rejects.toThrow(/EXECPLANE_TLS_KEY: .*chmod 0600/);
  expect(() => readAgentConfig({ tlsCert, tlsKey }, {})).toThrow(/--tls-key: .*chmod 0600/);
  chmodSync(tlsKey, 0o640);
  await (await start({ tlsCert, tlsKey })).stop();
  expect(readAgentConfig({ tlsCert, tlsKey }, {}).tls.key).toContain('PRIVATE KEY');
});

test('an agent does not start with a directory or a credential that others can read', () => {
  const open = join(dir, 'open');
  mkdirSync(open, { mode: 0o755 });
  chmodSync(open, 0o755);
  expect(() => prepareDirectory(open)).toThrow(/mode 0755.*chmod 0700/);
  const file = join(dir, 'credential.json');
  writePrivateJson(file, {});
  expect(mode(file)).toBe(0o600);
  chmodSync(file, 0o604);
  expect(() => readCredential(dir)).toThrow(/mode 0604.*chmod 0600/);
});
test.runIf(process.platform === 'linux')(
  'an agent directory that cannot be made is reported at once, with the name of the setting',
  () => {
    expect(() => prepareDirectory('/proc/execplane')).toThrow(
      /^EXECPLANE_AGENT_DIR: \/proc\/execplane cannot be made: no such file or directory: name another directory/,
    );
    expect(() => prepareDirectory('/proc/version')).toThrow(
      'EXECPLANE_AGENT_DIR: /proc/version is not a directory: name another one',
    );
  },
);

test('the socket, the journal and the lock of the runner are private', async () => {
  const { directory, link } = await linkedRunner();
  await link.run('a', ['true']);
  expect(mode(join(directory, 'runner.sock'))).toBe(0o600);
  const files = readdirSync(directory, { recursive: true, withFileTypes: true });
  const open = files.filter((entry) => (mode(join(entry.parentPath, entry.name)) & 0o077) !== 0);
  expect(open.map(({ name }) => name)).toEqual([]);
});

test.runIf(process.platform === 'linux').each(['a flag', 'a variable'])(
  'a token given as %s reaches the server, and is nowhere in /proc',
  async (way) => {
    const secret = `xpj_${'k'.repeat(43)}`;
    const heard = Promise.withResolvers<string>();
    const server = createServer((request) => void text(request).then(heard.resolve)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const given =
      way === 'a flag'
        ? { args: ['--join-token', secret], env: {} }
        : { args: [], env: { EXECPLANE_JOIN_TOKEN: secret } };
    const agent = spawn(process.execPath, [main, 'agent', '--agent-dir', agentDirectory(), ...given.args], {
      env: { PATH: process.env['PATH'] ?? '', EXECPLANE_URL: url, ...given.env },
      stdio: 'ignore',
    });
    const exited = once(agent, 'exit');
    onTestFinished(async () => {
      agent.kill('SIGINT');
      await exited;
      server.close();
      server.closeAllConnections();
    });
    expect(await heard.promise).toContain(secret);
    const shown = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${agent.pid}/${file}`, 'latin1'));
    expect(shown.join('')).not.toContain(secret);
    expect(shown.join('')).toContain(`EXECPLANE_URL=${url}`);
  },
);

function mode(path: string): number {
  return statSync(path).mode & 0o777;
}
