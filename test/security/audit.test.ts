/** The audit trail: records actions without secrets, and keeps its entries. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/store/sqlite/file/database.ts';
import { until } from '../helpers/processes.ts';
import { ADMIN_KEY, httpFixture, MACHINE } from '../server/http/http-fixture.ts';

test('who, from where, what, on which machine, the argv, the outcome; neither env nor stdin', async () => {
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

test('a client that disconnects before the answer is in the audit trail all the same', async () => {
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
