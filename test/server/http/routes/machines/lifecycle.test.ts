/** Machines with a lifecycle, over HTTP. No provider is called: the tests record the results of operations. */
import { expect, test } from 'vitest';
import type { Operation } from '../../../../../src/core/machines/operation.ts';
import type { Provider } from '../../../../../src/server/control/lifecycle/provider.ts';
import { ADMIN_KEY, type HttpFixture, httpFixture, MACHINE } from '../../http-fixture.ts';

function provider(name: string, operations: Operation[]): Provider {
  return {
    name,
    capabilities: new Set(operations),
    concurrency: 1,
    autosleepSeconds: 90,
    minAwakeMs: 0,
    attributes: new Map([['image', /^[a-z]+$/]]),
    run: () => Promise.reject(new Error('not to be run')),
  };
}
const byName = new Map([
  ['docker', provider('docker', ['create', 'delete', 'wake', 'sleep', 'resize'])],
  ['fixed', provider('fixed', ['create'])],
]);
const withProviders = () => httpFixture({ providers: { defaultName: 'docker', byName } });

async function create(http: HttpFixture, body: object = {}): Promise<string> {
  const answer = await http.call('POST', '/v1/machines', { body });
  expect(answer).toMatchObject({ status: 202, headers: { etag: '"1"' } });
  return `/v1/machines/${String(answer.body['machine_id'])}`;
}
/** Records the answer of the provider to the last operation. */
async function settle(
  http: HttpFixture,
  path: string,
  state: 'pending' | 'running' | 'stopped' | 'absent',
  expectedMs?: number,
): Promise<void> {
  const machineId = path.replace('/v1/machines/', '');
  const number = (await http.store.getMachine({ machineId }))?.operation?.number ?? 0;
  await http.store.beginOperation({ machineId, number, now: Date.now() });
  const expected = expectedMs === undefined ? {} : { expectedMs };
  const result = { type: 'operation_answered', number, state, ...expected } as const;
  await http.store.endOperation({ machineId, result, now: Date.now() });
}
async function running(http: HttpFixture, body: object = {}): Promise<string> {
  const path = await create(http, body);
  await settle(http, path, 'running');
  const machineId = path.replace('/v1/machines/', '');
  const facts = { vcpu: 9, memory_mib: 9, storage_gib: 9 };
  await http.store.machineConnected({ machineId, runnerInstance: 'r', bootId: 'b', facts, now: Date.now() });
  return path;
}

test('a machine without a provider waits for an agent, whatever size was requested', async () => {
  await using http = await httpFixture();
  const answer = await http.call('POST', '/v1/machines', { body: { vcpu: 0.5, autosleep: '7d3h4s' } });
  expect(answer).toMatchObject({
    status: 202,
    body: {
      machine_id: expect.stringMatching(/^dm-[0-9a-z]{16}$/),
      vcpu: 0.5,
      memory_mib: 4096,
      storage_gib: 10,
      autosleep_seconds: 7 * 86_400 + 3 * 3600 + 4,
      desired_state: 'running',
      status: { phase: 'placement_pending', reason: 'never_joined', retryable: true, revision: '1' },
    },
  });
  const path = `/v1/machines/${String(answer.body['machine_id'])}`;
  expect(await http.call('POST', `${path}/wake`)).toMatchObject({ status: 200, body: { status: { revision: '1' } } });
  expect(await http.call('POST', `${path}/sleep`)).toMatchObject({
    status: 409,
    headers: { 'x-should-retry': 'false' },
    body: {
      error_code: 'INVALID_STATE',
      details: {
        current_desired_state: 'running',
        current_observed_state: 'placement_pending',
        reason: 'no_provider',
      },
    },
  });
  expect(await http.call('PATCH', path, { body: { vcpu: 2 } })).toMatchObject({ status: 409 });
  expect(await http.call('PATCH', path, { body: { vcpu: 0.5 } })).toMatchObject({ status: 200 });
  expect(await http.call('DELETE', path)).toMatchObject({ status: 200, body: { status: { phase: 'destroyed' } } });
});

test('a malformed size or autosleep, and attributes that the provider does not accept, are refused', async () => {
  await using http = await withProviders();
  for (const [body, location] of [
    [{ vcpu: 0 }, 'body.vcpu'],
    [{ vcpu: 0.3 }, 'body.vcpu'],
    [{ memory_mib: 1.5 }, 'body.memory_mib'],
    [{ autosleep: '3s7d' }, 'body.autosleep'],
    [{ autosleep: '' }, 'body.autosleep'],
    [{ autosleep: '521w1000d' }, 'body.autosleep'],
    [{ provider: 'none' }, 'body.provider'],
    [{ attributes: { image: 'Debian' } }, 'body.attributes.image'],
    [{ attributes: { zone: 'a' } }, 'body.attributes.zone'],
    [{ size: 1 }, 'body.size'],
  ] as const) {
    const answer = await http.call('POST', '/v1/machines', { body });
    expect(answer, JSON.stringify(body)).toMatchObject({ status: 422, body: { errors: [{ location }] } });
  }
});

test.each(['wake', 'sleep'])(
  'a %s with an empty object needs no Content-Type, as one without a body',
  async (action) => {
    await using http = await httpFixture();
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const url = `/v1/machines/${MACHINE}/${action}`;
    const without = await http.app.inject({ method: 'POST', url, headers });
    expect(without.statusCode).toBe(action === 'wake' ? 200 : 409);
    const empty = await http.app.inject({ method: 'POST', url, headers, payload: Buffer.from('{}') });
    expect(empty.statusCode).toBe(without.statusCode);
    const text = { ...headers, 'content-type': 'text/plain' };
    expect((await http.app.inject({ method: 'POST', url, headers: text, payload: '{}' })).statusCode).toBe(415);
  },
);

test('a machine is accepted by its provider, changed, put to sleep, woken and removed, each with a new revision', async () => {
  await using http = await withProviders();
  const path = await running(http, { vcpu: 1, attributes: { image: 'debian' } });
  const machine = await http.call('GET', path);
  // The size of the machine is the requested size, not the size that its agent reports.
  expect(machine).toMatchObject({
    status: 200,
    body: { vcpu: 1, autosleep_seconds: 90, status: { phase: 'running' } },
  });
  const { etag } = machine.headers;
  expect(etag).toMatch(/^"[0-9]+"$/);
  const resized = await http.call('PATCH', path, { body: { vcpu: 2 }, headers: { 'if-match': String(etag) } });
  expect(resized).toMatchObject({ status: 202, body: { vcpu: 2, status: { phase: 'running' } } });
  expect(resized.headers['etag']).not.toBe(etag);
  const stale = await http.call('POST', `${path}/sleep`, { headers: { 'if-match': String(etag) } });
  expect(stale).toMatchObject({
    status: 409,
    headers: { 'x-should-retry': 'false' },
    body: {
      error_code: 'REVISION_MISMATCH',
      retryable: true,
      details: {
        provided_revision: String(etag).slice(1, -1),
        expected_revision: resized.headers['etag']?.toString().slice(1, -1),
      },
    },
  });
  expect(stale.headers).not.toHaveProperty('retry-after-ms');
  await settle(http, path, 'running');
  expect(await http.call('PATCH', path, { body: { storage_gib: 1 } })).toMatchObject({
    status: 422,
    body: { errors: [{ location: 'body.storage_gib' }] },
  });
  const asleep = await http.call('POST', `${path}/sleep`, { body: {}, headers: { 'if-match': '*' } });
  expect(asleep).toMatchObject({ status: 202, body: { desired_state: 'sleeping', status: { phase: 'stopping' } } });
  expect(await http.call('POST', `${path}/sleep`)).toMatchObject({
    status: 200,
    body: { status: { reason: 'sleep_requested' } },
  });
  expect(await http.call('POST', `${path}/sleep`, { body: { now: true } })).toMatchObject({ status: 422 });
  expect(await http.call('POST', `${path}/sleep`, { body: [] })).toMatchObject({ status: 422 });
  expect(await http.call('DELETE', path)).toMatchObject({ status: 202, body: { status: { phase: 'destroying' } } });
  expect(await http.call('POST', `${path}/wake`)).toMatchObject({ status: 409, body: { error_code: 'INVALID_STATE' } });
  await settle(http, path, 'absent');
  expect(await http.call('DELETE', path)).toMatchObject({ status: 200, body: { status: { phase: 'destroyed' } } });
});

test.each([
  ['the remaining time', 40_000, [30_000, 40_000]],
  ['at least 250 ms', 1, [250, 250]],
  ['at most a minute', 3_600_000, [60_000, 60_000]],
  ['a second if unknown', undefined, [1000, 1000]],
] as const)('the retry time of an execution that waits for a machine: %s', async (_, expectedMs, [least, most]) => {
  await using http = await withProviders();
  const path = await create(http);
  await settle(http, path, 'pending', expectedMs);
  const command = { body: { command: ['true'] } };
  const { body: execution } = await http.call('POST', `${path}/executions`, command);
  const { body: list } = await http.call('GET', `${path}/executions`);
  const { body: all } = await http.call('GET', '/v1/executions');
  const { body: terminal } = await http.call('POST', `${path}/terminals`, { body: { width: 80, height: 24 } });
  const waiting = [execution, terminal, ...list.items, ...all.items];
  expect(waiting).toHaveLength(4);
  for (const one of waiting) {
    expect(one['status']).toBe('wake_in_progress');
    expect(one['retry_after_ms']).toBeGreaterThanOrEqual(least);
    expect(one['retry_after_ms']).toBeLessThanOrEqual(most);
  }
});

test.each(['7', '"7"', 'W/"7"'])('If-Match: %s is a revision', async (value) => {
  await using http = await withProviders();
  const path = await running(http);
  const answer = await http.call('POST', `${path}/sleep`, { headers: { 'if-match': value } });
  expect(answer).toMatchObject({ status: 409, body: { details: { provided_revision: '7' } } });
});

test.each(['seven', '"7', '"7", "8"', '-1'])('If-Match: %s is refused', async (value) => {
  await using http = await withProviders();
  const path = await create(http);
  expect(await http.call('DELETE', path, { headers: { 'if-match': value } })).toMatchObject({
    status: 422,
    body: { errors: [{ location: 'header.if-match' }] },
  });
});

test('a busy machine is not put to sleep; the refusal has the number of its executions', async () => {
  await using http = await withProviders();
  const path = await running(http);
  await http.call('POST', `${path}/executions`, { body: { command: ['true'] } });
  const answer = await http.call('POST', `${path}/sleep`);
  expect(answer).toMatchObject({
    status: 409,
    headers: { 'x-should-retry': 'true' },
    body: { error_code: 'INVALID_STATE', retryable: true, details: { active_executions: '1' } },
  });
});

test('an operation that the provider lacks is refused; with force the machine is forgotten, and the audit trail lists what is left', async () => {
  await using http = await withProviders();
  const path = await running(http, { provider: 'fixed' });
  for (const [method, to] of [
    ['POST', `${path}/sleep`],
    ['DELETE', path],
  ] as const) {
    expect(await http.call(method, to)).toMatchObject({ status: 409, body: { details: { reason: 'not_supported' } } });
  }
  expect(await http.call('DELETE', `${path}?force=true`)).toMatchObject({ status: 200 });
  const audit = await http.call('GET', '/v1/audit?limit=1');
  expect(audit.body.items).toMatchObject([
    { action: 'machine.remove', outcome: expect.stringContaining('the provider fixed may still have dm-') },
  ]);
});

test('a repeated create returns the same machine, and another body is refused', async () => {
  await using http = await withProviders();
  const headers = { 'idempotency-key': 'once' };
  const first = await http.call('POST', '/v1/machines', { body: { vcpu: 2 }, headers });
  const second = await http.call('POST', '/v1/machines', { body: { vcpu: 2 }, headers });
  expect(second).toMatchObject({
    status: 202,
    headers: { 'idempotency-replayed': 'true' },
    body: { machine_id: first.body['machine_id'] },
  });
  const other = await http.call('POST', '/v1/machines', { body: { vcpu: 3 }, headers });
  expect(other).toMatchObject({ status: 409, body: { error_code: 'IDEMPOTENCY_KEY_REUSED' } });
});

test('a removed machine is shown for 24 hours', async () => {
  let now = Date.now();
  await using http = await httpFixture({ now: () => now });
  await http.call('DELETE', `/v1/machines/${MACHINE}`);
  now += 86_399_000;
  expect(await http.call('GET', `/v1/machines/${MACHINE}`)).toMatchObject({ status: 200 });
  now += 10_000;
  expect(await http.call('GET', `/v1/machines/${MACHINE}`)).toMatchObject({ status: 404 });
});

test('machines:write permits changes, executions:write permits waking, and neither permits more', async () => {
  await using http = await withProviders();
  const keyWith = async (scope: string) => {
    const made = await http.call('POST', '/v1/api-keys', { body: { name: scope, scopes: [scope] } });
    return String(made.body['key']);
  };
  const writer = await keyWith('machines:write');
  const runner = await keyWith('executions:write');
  const answer = await http.call('POST', '/v1/machines', { body: {}, key: writer });
  const path = `/v1/machines/${String(answer.body['machine_id'])}`;
  expect(answer.status).toBe(202);
  expect(await http.call('GET', path, { key: writer })).toMatchObject({ status: 200 });
  expect(await http.call('POST', `${path}/wake`, { key: runner })).toMatchObject({ status: 200 });
  expect(await http.call('POST', `${path}/sleep`, { key: runner })).toMatchObject({ status: 403 });
  expect(await http.call('DELETE', path, { key: runner })).toMatchObject({ status: 403 });
  expect(await http.call('POST', `${path}/executions`, { body: { command: ['x'] }, key: writer })).toMatchObject({
    status: 403,
  });
  expect(await http.call('GET', '/v1/audit', { key: writer })).toMatchObject({ status: 403 });
});

test('the status stream sends the present state, then each transition, and ends when the machine is in its desired state', async () => {
  await using http = await withProviders();
  const path = await create(http);
  const url = await http.listen();
  const authorization = 'Bearer xpk_the-admin-key-of-these-tests';
  const headers = { authorization, 'last-event-id': '999' };
  const response = await fetch(`${url}${path}/status/stream`, { headers });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader?.read())?.value ?? '';
  expect(text).toContain('id: 1\nevent: status\n');
  await settle(http, path, 'running');
  const machineId = path.replace('/v1/machines/', '');
  const facts = { vcpu: 1, memory_mib: 1, storage_gib: 1 };
  await http.store.machineConnected({ machineId, runnerInstance: 'r', bootId: 'b', facts, now: Date.now() });
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) text += part.value;
  const phases = [...text.matchAll(/"phase":"(\w+)"/g)].map(([, phase]) => phase);
  expect(phases).toEqual(['accepted', 'placement_pending', 'starting', 'running']);
  expect(text.endsWith('\n\n')).toBe(true);
  const again = await fetch(`${url}${path}/status/stream`, { headers: { authorization } });
  expect([...(await again.text()).matchAll(/^event: (.*)$/gm)]).toHaveLength(1);
});
