import { expect, test } from 'vitest';
import type { Store } from '../../../../src/store/store.ts';
import { type HttpFixture, httpFixture, MACHINE } from '../http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

function post(http: HttpFixture, key: string, body: unknown, path = EXECUTIONS) {
  return http.call('POST', path, { body, headers: { 'idempotency-key': key } });
}

test('a hundred requests at once with the same key create one execution', async () => {
  await using http = await httpFixture();
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => post(http, 'once', { command: ['true'], env: { A: '1' } })),
  );
  expect(new Set(answers.map((answer) => answer.body.execution_id)).size).toBe(1);
  expect(answers.filter((answer) => answer.headers['idempotency-replayed'] === 'true')).toHaveLength(99);
  expect((await http.call('GET', EXECUTIONS)).body.items).toHaveLength(1);
});

test('order of keys, spacing and the query string do not matter; another body, path or method gets 409', async () => {
  await using http = await httpFixture();
  const first = await post(http, 'k', '{"command":["a"],"env":{"A":"1","B":"2"},"timeout_ms":1}');
  const same = await post(
    http,
    'k',
    '{ "timeout_ms": 1.0, "env":{"B":"2","A":"\\u0031"}, "command":["a"] }',
    `${EXECUTIONS}?wait_ms=0`,
  );
  expect(same.body.execution_id).toBe(first.body.execution_id);
  const others = [
    await post(http, 'k', { command: ['a'], env: { A: '1', B: '3' }, timeout_ms: 1 }),
    await post(http, 'k', { command: ['a'], env: { A: '1', B: '2' } }),
    await http.call('DELETE', `${EXECUTIONS}/${first.body.execution_id}`, { headers: { 'idempotency-key': 'k' } }),
  ];
  for (const other of others) {
    expect([other.status, other.body['error_code']]).toStrictEqual([409, 'IDEMPOTENCY_KEY_REUSED']);
    expect(other.headers['x-should-retry']).toBe('false');
  }
});

test('a replay returns the present state', async () => {
  await using http = await httpFixture();
  const first = await post(http, 'k', { command: ['a'] });
  await http.start(first.body.execution_id);
  await http.finish(first.body.execution_id);
  const again = await post(http, 'k', { command: ['a'] });
  expect(again.body).toMatchObject({ execution_id: first.body.execution_id, status: 'succeeded', exit_code: 0 });
});

test('different API keys have separate idempotency keys', async () => {
  await using http = await httpFixture();
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'b', scopes: ['executions:write'] } });
  const first = await post(http, 'k', { command: ['a'] });
  const other = await http.call('POST', EXECUTIONS, {
    body: { command: ['b'] },
    key: String(made.body['key']),
    headers: { 'idempotency-key': 'k' },
  });
  expect(other.status).toBe(200);
  expect(other.body.execution_id).not.toBe(first.body.execution_id);
});

test('a refused request does not use up its key', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const signal = `${EXECUTIONS}/${executionId}/signal`;
  expect((await post(http, 'k', { command: [] })).status).toBe(422);
  const absent = await post(http, 'k', { command: ['a'] }, '/v1/machines/dm-absent/executions');
  expect(absent.status).toBe(404);
  expect((await post(http, 'k', { signal: 'SIGHUP' }, signal)).status).toBe(409);
  expect((await post(http, 'k', { command: ['a'] })).headers['idempotency-replayed']).toBeUndefined();
});

test('a signal is sent once per key', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  const sent: string[] = [];
  http.control.signal = async ({ signal }) => {
    sent.push(signal);
    return 'sent';
  };
  for (const replayed of [undefined, 'true', 'true']) {
    const answer = await post(http, 'k', { signal: 'SIGHUP' }, `${EXECUTIONS}/${executionId}/signal`);
    expect(answer.body).toMatchObject({ execution_id: executionId, status: 'running' });
    expect(answer.headers['idempotency-replayed']).toBe(replayed);
  }
  expect(sent).toStrictEqual(['SIGHUP']);
});

test('replays of administration omit the secret; a repeated revocation gets the same answer', async () => {
  await using http = await httpFixture();
  const body = { name: 'ci', scopes: ['executions:read'] };
  const key = await post(http, 'a', body, '/v1/api-keys');
  const keyAgain = await post(http, 'a', body, '/v1/api-keys');
  const { key: secret, ...rest } = key.body;
  expect(secret).toMatch(/^xpk_/);
  expect(keyAgain.body).toStrictEqual(rest);
  const token = await post(http, 'b', {}, '/v1/join-tokens');
  const tokenAgain = await post(http, 'b', {}, '/v1/join-tokens');
  const { token: tokenSecret, ...tokenRest } = token.body;
  expect(tokenSecret).toMatch(/^xpj_/);
  expect(tokenAgain.body).toStrictEqual(tokenRest);
  for (const path of [
    `/v1/api-keys/${key.body['api_key_id']}`,
    `/v1/join-tokens/${token.body['join_token_id']}`,
    `/v1/machines/${MACHINE}`,
  ]) {
    const headers = { 'idempotency-key': `d${path}`, 'content-type': 'application/json' };
    const first = await http.call('DELETE', path, { headers });
    const again = await http.call('DELETE', path, { headers });
    expect([first.status, again.status]).toStrictEqual([200, 200]);
    expect(again.body).toStrictEqual(first.body);
    expect(again.headers['idempotency-replayed']).toBe('true');
  }
});

test.each([
  ['/v1/api-keys', 'api_key_id', { name: 'ci', scopes: ['machines:read'] }, 'revokeApiKey'],
  ['/v1/join-tokens', 'join_token_id', {}, 'revokeJoinToken'],
] as const)(
  'a retry completes a revocation under %s that died after its key was bound',
  async (path, id, body, method) => {
    const died = Promise.withResolvers<void>();
    let alive = false;
    // The first request is lost after the binding of its key, as if the server had been killed.
    const store = (real: Store): Store => {
      const dying = () => new Promise<never>(() => died.resolve());
      const revoke = real[method] as (p: object) => Promise<unknown>;
      return { ...real, [method]: (p: object) => (alive ? revoke(p) : dying()) };
    };
    await using http = await httpFixture({ store });
    const made = await http.call('POST', path, { body });
    const headers = { 'idempotency-key': 'revoke' };
    void http.call('DELETE', `${path}/${made.body[id]}`, { headers });
    await died.promise;
    alive = true;
    const retried = await http.call('DELETE', `${path}/${made.body[id]}`, { headers });
    expect(retried.body).toMatchObject({ [id]: made.body[id] });
    expect(retried.headers['idempotency-replayed']).toBe('true');
    expect((await http.call('GET', path)).body.items).toStrictEqual([]);
    const audit = await http.call('GET', '/v1/audit');
    expect(audit.body.items[0]).toMatchObject({ resource: made.body[id], outcome: 'revoked' });
  },
);

test.each(['', ' ', 'a b', 'é', 'x'.repeat(256)])('the key %j is malformed', async (key) => {
  await using http = await httpFixture();
  const answer = await post(http, key, { command: ['a'] });
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([{ location: 'header.idempotency-key' }]);
});

test('the body of a DELETE nested 10,000 deep is refused', async () => {
  await using http = await httpFixture();
  const body = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
  const executionId = await http.create();
  const headers = { 'idempotency-key': 'deep' };
  const answer = await http.call('DELETE', `${EXECUTIONS}/${executionId}`, { body, headers });
  expect(answer.status).toBe(400);
});

test('DELETE accepts a content type without a body', async () => {
  await using http = await httpFixture();
  await http.store.machineDisconnected({ machineId: MACHINE, epoch: 1, now: Date.now() });
  const executionId = await http.create();
  for (const type of ['application/json', 'text/plain']) {
    const answer = await http.call('DELETE', `${EXECUTIONS}/${executionId}`, { headers: { 'content-type': type } });
    expect(answer.body).toMatchObject({ status: 'cancelled', error_code: 'cancelled' });
  }
});
