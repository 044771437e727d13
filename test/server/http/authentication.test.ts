import { expect, test } from 'vitest';
import { ADMIN_KEY, connect, type HttpFixture, httpFixture, MACHINE } from './http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

async function newKey(http: HttpFixture, body: Record<string, unknown>) {
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'test', ...body } });
  expect(made.status).toBe(200);
  return { key: String(made.body['key']), id: String(made.body['api_key_id']) };
}

test('a missing key and an unknown key get different errors', async () => {
  await using http = await httpFixture();
  const none = await http.call('GET', '/v1/machines', { key: undefined });
  expect(none.status).toBe(401);
  expect(none.body).toStrictEqual({ error_code: 'AUTH_REQUIRED', message: expect.any(String), retryable: false });
  expect(none.headers).toMatchObject({
    'content-type': 'application/json',
    'x-should-retry': 'false',
    'www-authenticate': 'Bearer',
    'x-request-id': expect.stringMatching(/^req-/),
  });
  const wrong = await http.call('GET', '/v1/machines', { key: 'xpk_nope' });
  expect([wrong.status, wrong.body['error_code']]).toStrictEqual([401, 'AUTH_INVALID']);
});

test.each([
  ['Bearer', { authorization: `Bearer ${ADMIN_KEY}` }, 200],
  ['bearer in lower case', { authorization: `bearer ${ADMIN_KEY}` }, 200],
  ['x-api-key', { 'x-api-key': ADMIN_KEY }, 200],
  ['both, the same', { authorization: `Bearer ${ADMIN_KEY}`, 'x-api-key': ADMIN_KEY }, 200],
  ['both, different', { authorization: `Bearer ${ADMIN_KEY}`, 'x-api-key': 'other' }, 401],
  ['another scheme', { authorization: 'Basic eDp5' }, 401],
  ['an organisation, ignored', { 'x-api-key': ADMIN_KEY, 'x-dedalus-org-id': 'org' }, 200],
])('authentication by a key in %s', async (_name, headers: Record<string, string>, status) => {
  await using http = await httpFixture();
  const answer = await http.call('GET', '/v1/machines', { key: undefined, headers });
  expect(answer.status).toBe(status);
});

test('a key in the query string is ignored', async () => {
  await using http = await httpFixture();
  const answer = await http.call('GET', `/v1/machines?api_key=${ADMIN_KEY}&x-api-key=${ADMIN_KEY}`, { key: undefined });
  expect(answer.status).toBe(401);
});

test('each scope permits its own routes and no others', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const one = `${EXECUTIONS}/${executionId}`;
  const routes = [
    ['GET', EXECUTIONS, 'executions:read'],
    ['GET', one, 'executions:read'],
    ['GET', `${one}/events`, 'executions:read'],
    ['GET', `${one}/output`, 'executions:read'],
    ['GET', `${one}/output/stdout`, 'executions:read'],
    ['POST', EXECUTIONS, 'executions:write'],
    ['DELETE', one, 'executions:write'],
    ['POST', `${one}/signal`, 'executions:write'],
    ['POST', `${one}/stdin`, 'executions:write'],
    ['GET', '/v1/machines', 'machines:read'],
    ['GET', `/v1/machines/${MACHINE}`, 'machines:read'],
    ['DELETE', '/v1/machines/dm-other', 'admin'],
    ['POST', '/v1/join-tokens', 'admin'],
    ['GET', '/v1/join-tokens', 'admin'],
    ['DELETE', '/v1/join-tokens/x', 'admin'],
    ['POST', '/v1/api-keys', 'admin'],
    ['GET', '/v1/api-keys', 'admin'],
    ['DELETE', '/v1/api-keys/x', 'admin'],
    ['GET', '/v1/audit', 'admin'],
  ] as const;
  const implied: Record<string, string[]> = {
    'executions:read': ['executions:read'],
    'executions:write': ['executions:write', 'executions:read'],
    'machines:read': ['machines:read'],
    admin: ['admin', 'executions:write', 'executions:read', 'machines:read'],
  };
  for (const [scope, allowed] of Object.entries(implied)) {
    const { key } = await newKey(http, { scopes: [scope] });
    for (const [method, path, needed] of routes) {
      const answer = await http.call(method, path, { key });
      const expected = allowed.includes(needed) ? 'in' : 'AUTH_SCOPE_FORBIDDEN';
      const got = answer.status === 403 ? answer.body['error_code'] : 'in';
      expect([scope, method, path, got]).toStrictEqual([scope, method, path, expected]);
    }
  }
});

test('a limited key is refused for other machines whether they exist or not', async () => {
  await using http = await httpFixture();
  await connect(http.store, 'dm-two');
  const { key } = await newKey(http, { scopes: ['admin'], machine_ids: [MACHINE] });
  const statusOf = async (path: string) => (await http.call('GET', path, { key })).status;
  expect(await statusOf(EXECUTIONS)).toBe(200);
  expect(await statusOf('/v1/machines/dm-two')).toBe(403);
  expect(await statusOf('/v1/machines/dm-absent/executions')).toBe(403);
  expect(await statusOf('/v1/api-keys')).toBe(403);
  const list = await http.call('GET', '/v1/machines', { key });
  expect(list.body.items.map((machine) => machine['machine_id'])).toStrictEqual([MACHINE]);
  const token = await http.call('POST', '/v1/join-tokens', { key, body: {} });
  expect(token.status).toBe(403);
});

test('a revoked key is refused at once, also if it was cached', async () => {
  await using http = await httpFixture();
  const { key, id } = await newKey(http, { scopes: ['machines:read'] });
  expect((await http.call('GET', '/v1/machines', { key })).status).toBe(200);
  const revoked = await http.call('DELETE', `/v1/api-keys/${id}`);
  expect(revoked.body).toMatchObject({ api_key_id: id, name: 'test' });
  const after = await http.call('GET', '/v1/machines', { key });
  expect([after.status, after.body['error_code']]).toStrictEqual([401, 'AUTH_INVALID']);
});

test('a key that is revoked during its lookup is not cached', async () => {
  let lookedUp = (): void => {};
  let revoked = (): void => {};
  const reached = new Promise<void>((resolve) => (lookedUp = resolve));
  const release = new Promise<void>((resolve) => (revoked = resolve));
  let slow = true;
  await using http = await httpFixture({
    store: (store) => ({
      ...store,
      async findApiKey(p) {
        const found = await store.findApiKey(p);
        if (slow) {
          slow = false;
          lookedUp();
          await release;
        }
        return found;
      },
    }),
  });
  const { key, id } = await newKey(http, { scopes: ['machines:read'] });
  const pending = http.call('GET', '/v1/machines', { key });
  await reached;
  await http.call('DELETE', `/v1/api-keys/${id}`);
  revoked();
  expect((await pending).status).toBe(401);
  expect((await http.call('GET', '/v1/machines', { key })).status).toBe(401);
});

test('an expired key is refused, also if it was cached', async () => {
  let now = Date.now();
  await using http = await httpFixture({ now: () => now });
  const { key } = await newKey(http, { scopes: ['machines:read'], expires_in_ms: 1000 });
  expect((await http.call('GET', '/v1/machines', { key })).status).toBe(200);
  now += 1000;
  expect((await http.call('GET', '/v1/machines', { key })).status).toBe(401);
});

test('the time of last use of a key is written when the app closes', async () => {
  await using http = await httpFixture();
  const { key, id } = await newKey(http, { scopes: ['machines:read'] });
  await http.call('GET', '/v1/machines', { key });
  await http.app.close();
  const apiKey = await http.store.getApiKey({ apiKeyId: id });
  expect(apiKey?.lastUsedAt).toBeGreaterThan(0);
});

test('refused administration is in the audit trail, without the key', async () => {
  await using http = await httpFixture();
  await http.call('GET', '/v1/api-keys', { key: 'xpk_intruder' });
  const audit = await http.call('GET', '/v1/audit');
  expect(audit.body.items).toMatchObject([
    { action: 'auth.refuse', actor: 'anonymous', resource: 'GET /v1/api-keys', outcome: 'AUTH_INVALID' },
  ]);
  expect(JSON.stringify(audit.body)).not.toContain('intruder');
});
