/** A server on PostgreSQL, from its settings to its routes, and invalid settings. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { examineServer, readServerConfig, type ServerConfig, startServer } from '../../src/server/main.ts';
import { TestPostgres } from '../helpers/postgres.ts';

let postgres: TestPostgres | undefined;
let directory = '';

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'execplane-server-'));
  for (const name of ['key', 'other']) writeFileSync(join(directory, name), randomBytes(32).toString('base64url'));
  postgres = await TestPostgres.start();
});
afterAll(async () => {
  await postgres?.stop();
  rmSync(directory, { recursive: true });
});

function settings(more: Record<string, string> = {}): ServerConfig {
  const common = { EXECPLANE_DATA_DIR: directory, EXECPLANE_PORT: '0', EXECPLANE_LOG_LEVEL: 'silent' };
  const shared = { EXECPLANE_API_KEY: 'an-admin-key-of-tests' };
  return readServerConfig({}, { ...common, ...shared, EXECPLANE_SECRET_KEY_FILE: join(directory, 'key'), ...more });
}

test('a server on PostgreSQL creates executions, and still has them after a restart', async () => {
  const config = settings({ EXECPLANE_DATABASE_URL: (await postgres?.schema()) ?? '' });
  const first = await startServer(config);
  const headers = { authorization: `Bearer ${first.adminKey.key}`, 'content-type': 'application/json' };
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${first.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(answer.status).toBe(200);
    return (await answer.json()) as Record<string, unknown>;
  };
  expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
  await post('/v1/join-tokens', { machine_id: 'dm-one' });
  const made = await post('/v1/machines/dm-one/executions', { command: ['true'], env: { SECRET: 'x' } });
  expect(made).toMatchObject({ status: 'wake_in_progress', env_keys: ['SECRET'] });
  await first.stop();
  const second = await startServer(config);
  const got = await fetch(`${second.url}/v1/machines/dm-one/executions/${String(made['execution_id'])}`, { headers });
  expect(await got.json()).toMatchObject({ command: ['true'], status: 'wake_in_progress' });
  await second.stop();
});

test('a server with another secret key is refused (fault 60)', async () => {
  const url = (await postgres?.schema()) ?? '';
  await (await startServer(settings({ EXECPLANE_DATABASE_URL: url }))).stop();
  const other = settings({ EXECPLANE_DATABASE_URL: url, EXECPLANE_SECRET_KEY_FILE: join(directory, 'other') });
  await expect(startServer(other)).rejects.toThrow(/EXECPLANE_SECRET_KEY_FILE: .*another secret key/);
});

test('an unreachable database is reported, without its password', async () => {
  const config = settings({ EXECPLANE_DATABASE_URL: 'postgres://me:hidden@127.0.0.1:1/none' });
  await expect(startServer(config)).rejects.toThrow(
    /EXECPLANE_DATABASE_URL: no primary can be reached .*127\.0\.0\.1:1/,
  );
  await expect(startServer(config)).rejects.not.toThrow(/hidden/);
});

test('PostgreSQL requires a shared key, and excludes a limit of size', () => {
  const url = { EXECPLANE_DATABASE_URL: 'postgres://me@h/d' };
  expect(() => readServerConfig({}, url)).toThrow(/EXECPLANE_SECRET_KEY_FILE/);
  expect(() => settings({ ...url, EXECPLANE_MAX_DATABASE_BYTES: '1' })).toThrow(/EXECPLANE_MAX_DATABASE_BYTES/);
});
test('doctor reports the state of the database, with a remedy for each fault', async () => {
  const config = settings({ EXECPLANE_DATABASE_URL: (await postgres?.schema()) ?? '' });
  const findingOf = async (check: string, of = config) =>
    (await examineServer(of, Date.now())).find((finding) => finding.check === check);
  expect(await findingOf('schema')).toMatchObject({ state: 'warn', message: 'there is none yet' });
  const server = await startServer(config);
  onTestFinished(() => server.stop());
  const { port } = new URL(server.url);
  const findings = await examineServer({ ...config, port: Number(port) }, Date.now());
  const states = findings.map(({ check, state }) => [check, state]);
  // The PostgreSQL of tests runs without fsync, to save time.
  expect(states.filter(([check, state]) => state !== 'ok' && check !== 'disk space')).toEqual([['durability', 'fail']]);
  expect(states.map(([check]) => check)).toEqual([
    ...['data directory', 'modes', 'owner', 'writable', 'disk space'],
    ...['database', 'durability', 'standbys', 'time zone', 'clock', 'connections', 'schema', 'secret key', 'servers'],
    ...['port', 'key'],
  ]);
  const other = { ...config, secretKeyFile: join(directory, 'other') };
  expect(await findingOf('secret key', other)).toMatchObject({
    state: 'fail',
    remedy: expect.stringContaining('Copy'),
  });
  const away = { ...config, databaseUrl: 'postgres://me:hidden@127.0.0.1:1/none' };
  expect(await findingOf('database', away)).toMatchObject({
    state: 'fail',
    message: expect.not.stringContaining('hidden'),
  });
});
