import { expect, test } from 'vitest';
import { httpFixture, MACHINE } from './http-fixture.ts';

test('an API key is shown once, then listed without its secret until it is revoked', async () => {
  await using http = await httpFixture();
  const body = { name: 'ci', scopes: ['executions:write'], machine_ids: [MACHINE], expires_in_ms: 60_000 };
  const made = await http.call('POST', '/v1/api-keys', { body });
  expect(made.body).toStrictEqual({
    api_key_id: expect.stringMatching(/^key-/),
    name: 'ci',
    scopes: ['executions:write'],
    machine_ids: [MACHINE],
    created_at: expect.any(String),
    expires_at: expect.any(String),
    key: expect.stringMatching(/^xpk_[\w-]{43}$/),
  });
  const { key, ...rest } = made.body;
  const list = await http.call('GET', '/v1/api-keys');
  expect(list.body.items).toStrictEqual([rest]);
  expect(JSON.stringify(list.body)).not.toContain(key);
  const path = `/v1/api-keys/${made.body['api_key_id']}`;
  expect((await http.call('DELETE', path)).body).toStrictEqual(rest);
  expect((await http.call('DELETE', path)).status).toBe(404);
  expect((await http.call('GET', '/v1/api-keys')).body.items).toStrictEqual([]);
});

test.each([
  [{ scopes: ['admin'] }, 'body.name'],
  [{ name: '', scopes: ['admin'] }, 'body.name'],
  [{ name: 'x', scopes: [] }, 'body.scopes'],
  [{ name: 'x', scopes: ['root'] }, 'body.scopes[0]'],
  [{ name: 'x', scopes: ['admin', 'admin'] }, 'body.scopes'],
  [{ name: 'x', scopes: ['admin'], machine_ids: [] }, 'body.machine_ids'],
  [{ name: 'x', scopes: ['admin'], machine_ids: ['x'] }, 'body.machine_ids[0]'],
  [{ name: 'x', scopes: ['admin'], expires_in_ms: 0 }, 'body.expires_in_ms'],
  [{ name: 'x', scopes: ['admin'], key: 'mine' }, 'body.key'],
])('the API key %j gets 422', async (body, location) => {
  await using http = await httpFixture();
  const answer = await http.call('POST', '/v1/api-keys', { body });
  expect(answer.status).toBe(422);
  expect(answer.body.errors.map((error) => error.location)).toContain(location);
});

test('a join token is single-use and lives for an hour by default', async () => {
  await using http = await httpFixture({ now: () => Date.parse('2026-01-01T00:00:00Z') });
  const made = await http.call('POST', '/v1/join-tokens', { body: {} });
  expect(made.body).toStrictEqual({
    join_token_id: expect.stringMatching(/^join-/),
    reusable: false,
    created_at: '2026-01-01T00:00:00.000Z',
    expires_at: '2026-01-01T01:00:00.000Z',
    token: expect.stringMatching(/^xpj_[\w-]{43}$/),
  });
  const { token: _secret, ...rest } = made.body;
  expect((await http.call('GET', '/v1/join-tokens')).body.items).toStrictEqual([rest]);
  const path = `/v1/join-tokens/${made.body['join_token_id']}`;
  expect((await http.call('DELETE', path)).body).toStrictEqual(rest);
  expect((await http.call('GET', '/v1/join-tokens')).body.items).toStrictEqual([]);
});

test('a join token for a new machine creates the machine, so that executions can wait for it', async () => {
  await using http = await httpFixture();
  await http.call('POST', '/v1/join-tokens', { body: { machine_id: 'dm-new' } });
  const machine = await http.call('GET', '/v1/machines/dm-new');
  expect(machine.body['status']).toMatchObject({ phase: 'placement_pending', reason: 'never_joined' });
  expect(machine.body).toMatchObject({ vcpu: 0, memory_mib: 0, storage_gib: 0 });
  const create = await http.call('POST', '/v1/machines/dm-new/executions', { body: { command: ['true'] } });
  expect(create.body).toMatchObject({ status: 'wake_in_progress' });
  await http.call('DELETE', '/v1/machines/dm-new');
  const again = await http.call('POST', '/v1/join-tokens', { body: { machine_id: 'dm-new' } });
  expect([again.status, again.body['error_code']]).toStrictEqual([409, 'INVALID_STATE']);
});

test('a join token that is used twice, at the same time or late admits exactly one agent', async () => {
  await using http = await httpFixture();
  const made = await http.call('POST', '/v1/join-tokens', { body: {} });
  const enrol = (n: number, token: unknown = made.body['token']) =>
    http.call('POST', '/agent/v1/enrol', {
      key: undefined,
      body: { join_token: token, credential: `xpa_${String(n).repeat(43)}` },
    });
  const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => enrol(n)));
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
  expect(answers.filter((answer) => answer.status === 401)).toHaveLength(4);
  expect((await enrol(6)).status).toBe(401);
  const late = await http.call('POST', '/v1/join-tokens', { body: { expires_in_ms: 1 } });
  await expect.poll(() => Date.now() > Date.parse(String(late.body['expires_at']))).toBe(true);
  expect((await enrol(7, late.body['token'])).status).toBe(401);
});

test('a refused enrolment repeats neither token nor credential', async () => {
  await using http = await httpFixture();
  const body = { join_token: 'xpj_secret'.repeat(50), credential: 'xpa_secret' };
  const answer = await http.call('POST', '/agent/v1/enrol', { key: undefined, body });
  expect(answer.status).toBe(422);
  expect(answer.raw.toString()).not.toContain('secret');
});

test('the audit trail lists actors and actions, newest first, without secrets', async () => {
  await using http = await httpFixture();
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'ci', scopes: ['executions:write'] } });
  const key = String(made.body['key']);
  const path = `/v1/machines/${MACHINE}/executions`;
  const create = await http.call('POST', path, {
    key,
    body: { command: ['a'], env: { A: 'hunter2' }, stdin: 'hunter2' },
  });
  const executionId = create.body.execution_id;
  await http.start(executionId);
  await http.call('POST', `${path}/${executionId}/signal`, { body: { signal: 'SIGHUP' } });
  await http.call('DELETE', `${path}/${executionId}`);
  await http.call('POST', '/v1/join-tokens', { body: {} });
  await http.call('DELETE', `/v1/machines/${MACHINE}`);
  await http.call('DELETE', `/v1/api-keys/${made.body['api_key_id']}`);
  const audit = await http.call('GET', '/v1/audit');
  const actions = audit.body.items.map((entry) => entry['action']);
  expect([...actions].sort()).toStrictEqual(
    [
      'api_key.create',
      'execution.create',
      'execution.signal',
      'execution.cancel',
      'join_token.create',
      'machine.remove',
      'api_key.revoke',
    ].sort(),
  );
  const created = audit.body.items.find((entry) => entry['action'] === 'execution.create');
  expect(created).toStrictEqual({
    audit_id: expect.any(String),
    at: expect.any(String),
    actor: made.body['api_key_id'],
    source: '127.0.0.1',
    action: 'execution.create',
    machine_id: MACHINE,
    resource: executionId,
    command: ['a'],
    outcome: 'created',
  });
  const text = audit.raw.toString();
  expect([text.includes('hunter2'), text.includes(key)]).toStrictEqual([false, false]);
});
