/** The audit log records actions without secrets and keeps its entries. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startAuditRetention } from '../../src/server/operations/audit-retention.ts';
import { openDatabase } from '../../src/store/sqlite/file/database.ts';
import { until } from '../helpers/processes.ts';
import { ADMIN_KEY, type HttpFixture, httpFixture, MACHINE } from '../server/http/http-fixture.ts';

test('an entry has actor, source, action, machine, argv and outcome, but neither env nor stdin', async () => {
  await using http = await httpFixture({ config: { trustProxy: '1' } });
  const body = { command: ['deploy', '--now'], env: { TOKEN: 'env-secret' }, stdin: 'stdin-secret' };
  const headers = { 'x-forwarded-for': '203.0.113.9' };
  const made = await http.call('POST', `/v1/machines/${MACHINE}/executions`, { body, headers });
  const trail = await http.call('GET', '/v1/audit');
  expect(trail.body.items[0]).toEqual({
    audit_id: expect.anything(),
    at: expect.any(String),
    actor: 'admin',
    source: '203.0.113.9',
    action: 'execution.create',
    machine_id: MACHINE,
    resource: made.body.execution_id,
    command: ['deploy', '--now'],
    outcome: 'created',
  });
  expect(trail.raw.toString()).not.toMatch(/env-secret|stdin-secret/);
});

test('the first write of another key to the stdin of a command is recorded, without the bytes', async () => {
  await using http = await httpFixture();
  const executionId = await http.create({ command: ['sh'], stdin_open: true });
  const body = { name: 'other', scopes: ['executions:write'] };
  const other = (await http.call('POST', '/v1/api-keys', { body })).body;
  const headers = { 'content-type': 'application/octet-stream' };
  const path = `/v1/machines/${MACHINE}/executions/${executionId}/stdin`;
  const write = (key: string, text: string) => http.call('POST', path, { key, headers, body: Buffer.from(text) });
  await write(ADMIN_KEY, 'by its creator');
  await write(String(other['key']), '');
  const entries = async () => {
    const trail = await http.call('GET', '/v1/audit');
    expect(trail.raw.toString()).not.toContain('secret');
    return trail.body.items.filter(({ action }) => action === 'execution.stdin');
  };
  expect(await entries()).toEqual([]);
  for (const text of ['secret 1', 'secret 2']) expect((await write(String(other['key']), text)).status).toBe(200);
  expect(await entries()).toMatchObject([
    { actor: other['api_key_id'], machine_id: MACHINE, resource: executionId, outcome: 'written' },
  ]);
});

test('an action is in the audit trail even if the client disconnects before the answer', async () => {
  await using http = await httpFixture();
  const { hostname, port } = new URL(await http.listen());
  const accepted = once(http.app.server, 'connection') as Promise<[Socket]>;
  const client = connect(Number(port), hostname);
  const [server] = await accepted;
  const gone = new Promise((resolve) => server.once('close', resolve));
  const create = http.control.create.bind(http.control);
  http.control.create = async (request) => {
    client.resetAndDestroy();
    await gone;
    return create(request);
  };
  const body = JSON.stringify({ command: ['hidden'] });
  const headers = `Host: x\r\nx-api-key: ${ADMIN_KEY}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  client.on('error', () => undefined);
  client.write(`POST /v1/machines/${MACHINE}/executions HTTP/1.1\r\n${headers}\r\n\r\n${body}`);
  await until('it is in the audit trail', async () => {
    const [entry] = (await http.call('GET', '/v1/audit')).body.items;
    return entry?.['source'] === '127.0.0.1' && entry['action'] === 'execution.create';
  });
});

test('no route and no statement changes the audit trail', async () => {
  await using http = await httpFixture();
  await http.create();
  await http.call('GET', '/v1/audit');
  for (const method of ['DELETE', 'POST', 'PUT', 'PATCH'] as const) {
    expect((await http.call(method, '/v1/audit')).status).toBe(404);
  }
  const db = openDatabase(`${http.config.dataDir}/test.db`);
  try {
    expect(() => db.exec("UPDATE audit SET actor = 'nobody'")).toThrow('append-only');
    expect(() => db.exec('DELETE FROM audit')).toThrow('append-only');
  } finally {
    db.close();
  }
  expect((await http.call('GET', '/v1/audit')).body.items).toMatchObject([{ actor: 'admin' }]);
});

/** The entries of an export, oldest first. */
async function exported(http: HttpFixture, after = '0', key = ADMIN_KEY) {
  const answer = await http.call('GET', `/v1/audit/export?after=${after}`, { key });
  expect(answer.headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
  const lines = answer.raw.toString().split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as { audit_id: string; action: string; command?: string[] });
}

test('an export has every entry once, oldest first, and can be continued after its last entry', async () => {
  await using http = await httpFixture();
  // More entries than one read returns.
  for (let at = 0; at < 1100; at += 1) {
    const entry = { at, actor: 'admin', source: '-', action: `made-${at}`, outcome: 'created' };
    await http.store.appendAudit({ entry });
  }
  const first = await exported(http);
  expect(first.map(({ action }) => action)).toEqual(Array.from({ length: 1100 }, (_, at) => `made-${at}`));
  const last = first.at(-1)?.audit_id ?? '';
  await http.create();
  expect((await exported(http, last)).map(({ action }) => action)).toEqual(['execution.create']);
  expect(await exported(http, '999999')).toEqual([]);
});

test('only exported entries can be released, and only released ones are deleted', async () => {
  await using http = await httpFixture();
  await http.create();
  await http.create();
  const release = (through: string) => http.call('POST', '/v1/audit/release', { body: { through } });
  const early = await release('2');
  expect([early.status, early.body['error_code'], early.body['details']]).toEqual([
    409,
    'INVALID_STATE',
    { reason: 'not_exported' },
  ]);
  const entries = await exported(http);
  expect(entries.map(({ action }) => action)).toEqual(['execution.create', 'execution.create', 'audit.release']);
  await http.create();
  expect((await release('4')).status).toBe(409);
  expect((await release('2')).body).toEqual({ through: '2' });
  await trimmed(http, 0, 2);
  expect((await exported(http)).map(({ audit_id }) => Number(audit_id))).toEqual([3, 4, 5, 6]);
});

test('entries older than the setting are deleted without an export; the newest one is kept', async () => {
  await using http = await httpFixture();
  await http.create();
  await http.create();
  const before = await exported(http);
  await trimmed(http, 1, before.length - 1, Date.now() + 2 * 86_400_000);
  expect(await exported(http)).toEqual(before.slice(-1));
});

test('a key that is limited to some machines exports only their entries, and cannot release any', async () => {
  await using http = await httpFixture();
  await http.create();
  const body = { name: 'some', scopes: ['admin'], machine_ids: ['dm-other'] };
  const { key } = (await http.call('POST', '/v1/api-keys', { body })).body as unknown as { key: string };
  expect(await exported(http, '0', key)).toEqual([]);
  expect((await http.call('POST', '/v1/audit/release', { key, body: { through: '1' } })).status).toBe(403);
  expect((await http.call('POST', '/v1/audit/release', { body: { through: '1' } })).status).toBe(409);
});

test('a long argv is cut in its entry, and a digest identifies the whole', async () => {
  await using http = await httpFixture();
  const command = ['run', 'x'.repeat(10_000)];
  await http.call('POST', `/v1/machines/${MACHINE}/executions`, { body: { command } });
  const [entry] = await exported(http);
  const digest = createHash('sha256').update(JSON.stringify(command)).digest('hex');
  expect(entry).toMatchObject({ command: ['run', 'x'.repeat(4093)], command_digest: digest });
});

/** Settles when the retention has deleted `count` entries. */
async function trimmed(http: HttpFixture, auditRetentionDays: number, count: number, at = 0): Promise<void> {
  const told: unknown[] = [];
  const retention = startAuditRetention({
    store: http.store,
    logger: { info: (fields: unknown) => void told.push(fields), warn: (fields: unknown) => void told.push(fields) },
    now: () => at,
    auditRetentionDays,
    intervalMs: 1,
  });
  await until('they are deleted', () => told.length > 0);
  await retention.stop();
  expect(told).toEqual([{ entries: count }]);
}
