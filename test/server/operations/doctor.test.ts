/** Findings of doctor for a healthy server, and for each fault. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { judgeSpace } from '../../../src/node/finding.ts';
import { readServerConfig, type ServerConfig } from '../../../src/server/config.ts';
import { examineServer } from '../../../src/server/operations/doctor/doctor.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { runningServer } from '../../helpers/running-server.ts';
import { connectMachine, createExecution } from '../../store/sqlite/place.ts';

const FIXTURES = new URL('../fixtures/', import.meta.url).pathname;
const AT = Date.parse('2026-06-01T00:00:00Z');
let dir: string;
let config: ServerConfig;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-doctor-'));
  config = readServerConfig({ dataDir: dir, port: '1', apiKey: 'xpk_a-key-of-these-tests' }, {});
  const store = openSqliteStore({ path: join(dir, 'execplane.db') });
  await connectMachine(store);
  for (let n = 0; n < 20; n++) await createExecution(store, `e${n}`);
  const entry = { at: AT, actor: 'admin', source: '::1', action: 'test', outcome: 'ok' };
  await store.appendAudit({ entry });
  await store.close();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Returns the finding of one check under these changes to the configuration. */
async function findingOf(check: string, changes: Partial<ServerConfig> = {}, now = AT) {
  const findings = await examineServer({ ...config, ...changes }, now);
  return findings.find((finding) => finding.check === check);
}

test.each(['http', 'https'])('all findings for a healthy server (%s) are ok', async (scheme) => {
  const tls = { tlsCert: join(FIXTURES, 'test-only-cert.pem'), tlsKey: join(dir, 'key.pem') };
  writeFileSync(tls.tlsKey, readFileSync(join(FIXTURES, 'test-only-key.pem')), { mode: 0o600 });
  const settings = scheme === 'https' ? tls : {};
  await using server = await runningServer(settings);
  const { port } = new URL(server.url);
  const running = readServerConfig({ dataDir: server.dir, port, ...settings }, {});
  const findings = await examineServer(running, Date.now());
  expect(findings.filter(({ state, check }) => state !== 'ok' && check !== 'disk space')).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual([
    ...['data directory', 'modes', 'owner', 'writable', 'disk space'],
    ...['integrity', 'schema', 'database size', 'clock'],
    ...(scheme === 'https' ? ['certificate'] : []),
    ...['port', 'key'],
  ]);
});

test('a missing directory fails', async () => {
  expect(await findingOf('data directory', { dataDir: join(dir, 'none') })).toMatchObject({
    state: 'fail',
    remedy: expect.stringContaining('EXECPLANE_DATA_DIR'),
  });
});

test('a directory or a key that others can read fails', async () => {
  chmodSync(dir, 0o755);
  expect(await findingOf('modes')).toMatchObject({ state: 'fail', remedy: `Close it with "chmod 0700 ${dir}".` });
  chmodSync(dir, 0o700);
  writeFileSync(join(dir, 'secret.key'), '', { mode: 0o644 });
  expect(await findingOf('modes')).toMatchObject({ state: 'fail', remedy: expect.stringContaining('chmod 0600') });
});

test('a damaged database fails', async () => {
  const path = join(dir, 'execplane.db');
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0x5a, 8192 * 3, 8192 * 9));
  expect(await findingOf('integrity')).toMatchObject({
    state: 'fail',
    remedy: expect.stringContaining('execplane restore'),
  });
  writeFileSync(path, 'no database at all');
  expect(await findingOf('integrity')).toMatchObject({ state: 'fail' });
});

test('a missing, a newer and an older database are reported', async () => {
  const db = new Sqlite(join(dir, 'execplane.db'));
  db.exec('INSERT INTO schema_migrations VALUES (9999, 0)');
  expect(await findingOf('schema')).toMatchObject({ state: 'fail', message: expect.stringContaining('9999') });
  db.exec('DELETE FROM schema_migrations WHERE version > 1');
  expect(await findingOf('schema')).toMatchObject({ state: 'warn', message: expect.stringContaining('version 1;') });
  db.close();
  rmSync(join(dir, 'execplane.db'));
  expect(await findingOf('database')).toMatchObject({ state: 'warn' });
});

test('a database over its size warns, and a clock behind its entries fails', async () => {
  expect(await findingOf('database size', { maxDatabaseBytes: 8192 })).toMatchObject({ state: 'warn' });
  expect(await findingOf('clock', {}, AT - 3_600_000)).toMatchObject({
    state: 'fail',
    message: expect.stringContaining('3600 s before'),
  });
});

test('a closed port, a wrong secret key, and an expired or different certificate are reported', async () => {
  expect(await findingOf('port')).toMatchObject({ state: 'fail', message: expect.stringContaining('ECONNREFUSED') });
  await using server = await runningServer();
  const port = Number(new URL(server.url).port);
  expect(await findingOf('key', { port })).toMatchObject({ state: 'fail', message: expect.stringContaining('401') });
  const tlsCert = join(FIXTURES, 'test-only-cert.pem');
  expect(await findingOf('certificate', { tlsCert }, Date.parse('2999-01-01'))).toMatchObject({ state: 'fail' });
  expect(await findingOf('certificate', { tlsCert: join(dir, 'none.pem') })).toMatchObject({ state: 'fail' });
  const key = join(dir, 'key.pem');
  writeFileSync(key, readFileSync(join(FIXTURES, 'test-only-key.pem')), { mode: 0o600 });
  await using secure = await runningServer({ tlsCert, tlsKey: key });
  const other = { port: Number(new URL(secure.url).port), tlsCert: join(FIXTURES, 'other-test-only-cert.pem') };
  expect(await findingOf('port', other)).toMatchObject({
    state: 'fail',
    message: expect.stringContaining('another certificate'),
  });
});

test('a server with TLS is not reported as dead if the certificate is not configured', async () => {
  const key = join(dir, 'key.pem');
  writeFileSync(key, readFileSync(join(FIXTURES, 'test-only-key.pem')), { mode: 0o600 });
  await using secure = await runningServer({ tlsCert: join(FIXTURES, 'test-only-cert.pem'), tlsKey: key });
  expect(await findingOf('port', { port: Number(new URL(secure.url).port) })).toMatchObject({
    state: 'warn',
    message: expect.stringContaining('over TLS'),
  });
});

test.each([
  [50, 'fail'],
  [500, 'warn'],
  [5000, 'ok'],
])('%d MiB of free space: %s', (mib, state) => {
  expect(judgeSpace(mib * 1024 ** 2, 'Make room.')).toMatchObject({ state });
});
