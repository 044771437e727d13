/** execplane migrate-to-postgres: the server on PostgreSQL gives the same answers as on SQLite, and continues running executions. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { signedHeaders } from '../../src/server/operations/webhooks/signature.ts';
import { cli, Deployment, ServerUnderTest } from '../helpers/harness.ts';
import { TestPostgres } from '../helpers/postgres.ts';
import { until } from '../helpers/processes.ts';

interface Posted {
  headers: IncomingHttpHeaders;
  body: string;
}

const posted: Posted[] = [];
const receiver = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    posted.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
    response.end();
  });
});

let postgres: TestPostgres;
let deployment: Deployment;
let databaseUrl: string;
let keyFile: string;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  databaseUrl = await postgres.schema();
  deployment = await Deployment.start({ server: { EXECPLANE_ALLOW_PRIVATE_CALLBACKS: 'true' } });
  keyFile = join(deployment.dir, 'shared.key');
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
});
afterAll(async () => {
  receiver.close();
  await deployment?.dispose();
  await postgres?.stop();
});

const migrate = (dataDir = deployment.server.dataDir, key = keyFile) =>
  cli(['migrate-to-postgres', '--data-dir', dataDir, '--secret-key-file', key, '--json'], {
    EXECPLANE_DATABASE_URL: databaseUrl,
  });
const sh = (line: string) => ['/bin/sh', '-c', line];
const create = (body: Record<string, unknown>, headers: Record<string, string> = {}, machineId = 'dm-test') =>
  deployment.client.ask<{ execution_id: string }>('POST', `/v1/machines/${machineId}/executions?wait_ms=0`, {
    body,
    headers,
  });

const listArtifacts = () =>
  deployment.client.ask<{ items: { artifact_id: string; download_url: string }[] }>(
    'GET',
    '/v1/machines/dm-test/artifacts',
  );

/** All answers that the migration must not change. */
async function answers(ids: readonly string[]): Promise<unknown> {
  const { client, machine } = deployment;
  const ofEach = ids.map(async (id) => ({
    execution: await machine.read(id),
    output: await machine.output(id),
    stdout: (await machine.raw(id)).toString('base64'),
    events: await client.ask('GET', machine.at(id, '/events')),
  }));
  const { items } = await listArtifacts();
  const contents = items.map(async ({ artifact_id: id }) =>
    (await client.get(`/v1/machines/dm-test/artifacts/${id}/content`)).bytes.toString('base64'),
  );
  return {
    executions: await Promise.all(ofEach),
    // A download link expires an hour after its request.
    artifacts: items.map(({ download_url: _, ...artifact }) => artifact),
    contents: await Promise.all(contents),
    keys: await client.ask('GET', '/v1/api-keys'),
    tokens: await client.ask('GET', '/v1/join-tokens'),
    audit: (await client.ask<{ items: unknown[] }>('GET', '/v1/audit')).items.slice(-5),
  };
}

test('a migration keeps everything: running commands continue, waiting ones run once, and callbacks have the same signatures', async () => {
  const { client, machine, server } = deployment;
  const going = join(deployment.dir, 'go');
  const callback = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const key = await client.ask<{ key: string }>('POST', '/v1/api-keys', {
    body: { name: 'moved', scopes: ['machines:read'] },
  });
  const laterToken = await deployment.joinToken({ machine_id: 'dm-later' });
  const retried = { 'idempotency-key': 'move-1' };
  const ended = await Promise.all([
    create({ command: sh('echo out; echo err >&2') }, retried),
    create({ command: sh('exit 3') }),
    create({ command: sh('printf "\\377\\001"; cat'), stdin: 'given', env: { SECRET: 'x' } }),
    create({ command: sh('seq 1 20000'), output_mode: 'stream' }),
    create({ command: sh('printf kept > "$ARTIFACTS_DIR/a.txt"'), artifacts: [] }),
    create({ command: ['/no/such/program'] }),
    create({ command: sh('tty'), tty: { width: 80, height: 24 } }),
  ]);
  const ids = ended.map(({ execution_id: id }) => id);
  for (const id of ids) await machine.ended(id);
  const cancelled = await create({ command: ['sleep', '600'] });
  await until('it runs', async () => (await machine.read(cancelled.execution_id)).status === 'running');
  await machine.cancel(cancelled.execution_id, { wait_ms: 20_000 });
  const running = await create({
    command: sh(`echo before; while [ ! -e ${going} ]; do sleep 0.1; done; echo after`),
    callback_url: callback,
  });
  await until('it has printed', async () => (await machine.read(running.execution_id)).stdout_bytes === 7);
  const waiting = await create({ command: sh('echo "$LATER"'), env: { LATER: 'sealed' } }, {}, 'dm-later');
  const command = ['/bin/sh', '-c', 'echo "$MACHINE_ID"'];
  const selector = { machine_ids: ['dm-later', 'dm-test'] };
  const batch = await client.ask<{ batch_id: string }>('POST', '/v1/batches', {
    body: { selector, command, max_concurrency: 1 },
  });
  const all = [...ids, cancelled.execution_id];
  const before = await answers(all);
  const [artifact] = (await listArtifacts()).items;

  expect(await migrate()).toMatchObject({ code: 1, stderr: expect.stringContaining('a server runs on') });
  await server.stop();
  const moved = await migrate();
  expect(moved, moved.stderr).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('executions: 11 rows, verified'),
  });
  const { tables } = JSON.parse(moved.stdout) as { tables: { name: string; rows: number; sha256: string }[] };
  expect(tables.find(({ name }) => name === 'executions')).toMatchObject({ rows: 11 });
  expect(readFileSync(keyFile, 'utf8')).toBe(readFileSync(join(server.dataDir, 'secret.key'), 'utf8'));
  expect(await migrate()).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is not empty: machines has 2 rows'),
  });

  const webhookSecret = readFileSync(join(server.dataDir, 'webhook.secret'), 'utf8').trim();
  const settings = { EXECPLANE_DATABASE_URL: databaseUrl, EXECPLANE_SECRET_KEY_FILE: keyFile };
  Object.assign(server.settings, settings, { EXECPLANE_DATA_DIR: join(deployment.dir, 'data-of-postgres') });
  await server.restart();
  await deployment.connected();
  expect(await answers(all)).toEqual(before);
  expect(await (await fetch(artifact?.download_url ?? '')).text()).toBe('kept');
  expect((await client.with(key.key).get('/v1/machines')).status).toBe(200);
  expect(await create({ command: sh('echo out; echo err >&2') }, retried)).toMatchObject({ execution_id: ids[0] });

  writeFileSync(going, '');
  expect(await machine.ended(running.execution_id)).toMatchObject({ status: 'succeeded' });
  expect((await machine.output(running.execution_id)).stdout).toBe('before\nafter\n');
  await until('the callback has come', () => posted.length > 0);
  const [{ headers, body } = { headers: {}, body: '' }] = posted;
  const [id, at] = [String(headers['webhook-id']), Number(headers['webhook-timestamp']) * 1000];
  expect(headers).toMatchObject(signedHeaders(webhookSecret, { id, at, body }));
  expect(JSON.parse(body)).toMatchObject({ execution_id: running.execution_id });

  await deployment.join('dm-later', { EXECPLANE_JOIN_TOKEN: laterToken });
  const later = client.machine('dm-later');
  expect(await later.ended(waiting.execution_id)).toMatchObject({ status: 'succeeded' });
  expect((await later.output(waiting.execution_id)).stdout).toBe('sealed\n');
  // The batch continues: its first execution was waiting, the second was not created yet.
  expect(await client.ask('GET', `/v1/batches/${batch.batch_id}?wait_ms=30000`)).toMatchObject({
    status: 'succeeded',
    counts: { succeeded: 2 },
  });
  const fresh = await create({ command: ['true'] });
  expect(all).not.toContain(fresh.execution_id);
  expect(await machine.ended(fresh.execution_id)).toMatchObject({ status: 'succeeded' });
}, 180_000);

test('another secret key, a directory without data and an invalid URL are refused with exit code 2', async () => {
  const stopped = await ServerUnderTest.start(join(deployment.dir, 'refused'));
  await stopped.stop();
  const { dataDir } = stopped;
  const other = join(deployment.dir, 'other.key');
  writeFileSync(other, `${'A'.repeat(43)}\n`);
  expect(await migrate(dataDir, other)).toMatchObject({ code: 2, stderr: expect.stringContaining('another key than') });
  expect(await migrate(join(deployment.dir, 'none'))).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('not exist'),
  });
  const args = [
    '--data-dir',
    dataDir,
    '--secret-key-file',
    join(deployment.dir, 'made.key'),
    '--database-url',
    'postgres://nowhere',
  ];
  expect(await cli(['migrate-to-postgres', ...args])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('EXECPLANE_DATABASE_URL: '),
  });
  expect(await cli(['migrate-to-postgres', '--data-dir', dataDir])).toMatchObject({ code: 2 });
});
