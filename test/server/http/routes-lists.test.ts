import { expect, test } from 'vitest';
import { type AnswerBody, connect, type HttpFixture, httpFixture, MACHINE } from './http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

async function pages(http: HttpFixture, path: string, between: () => Promise<unknown> = async () => {}) {
  const ids: unknown[] = [];
  const join = path.includes('?') ? '&' : '?';
  for (let cursor = ''; ; ) {
    const { status, body } = await http.call('GET', `${path}${cursor && `${join}cursor=${cursor}`}`);
    expect(status).toBe(200);
    if (cursor !== '') expect(body.items).not.toStrictEqual([]);
    ids.push(...body.items.map((item) => item.execution_id ?? item['machine_id']));
    if (body.next_cursor === undefined) return ids;
    cursor = body.next_cursor;
    await between();
  }
}

test('executions are listed newest first, each once, while others are created', async () => {
  await using http = await httpFixture();
  const ids: string[] = [];
  for (let i = 0; i < 7; i += 1) ids.unshift(await http.create());
  expect(await pages(http, `${EXECUTIONS}?limit=2`, () => http.create())).toStrictEqual(ids);
});

test('the last page has no cursor, even if it is full', async () => {
  await using http = await httpFixture();
  await http.create();
  await http.create();
  const full = await http.call('GET', `${EXECUTIONS}?limit=2`);
  expect(full.body.items).toHaveLength(2);
  expect(full.body).not.toHaveProperty('next_cursor');
});

test('?status= filters the list', async () => {
  await using http = await httpFixture();
  const waiting = await http.create();
  const ended = await http.create();
  await http.start(ended);
  await http.finish(ended);
  expect(await pages(http, `${EXECUTIONS}?status=queued`)).toStrictEqual([waiting]);
  expect(await pages(http, `${EXECUTIONS}?status=succeeded`)).toStrictEqual([ended]);
  const wrong = await http.call('GET', `${EXECUTIONS}?status=done`);
  expect(wrong.body.errors).toMatchObject([{ location: 'query.status', value: 'done' }]);
});

test.each(['0', '-1', 'x', '1.0', '1e1', ' 1', '+1', ''])('limit=%s gets 422', async (limit) => {
  await using http = await httpFixture();
  const answer = await http.call('GET', `${EXECUTIONS}?limit=${encodeURIComponent(limit)}`);
  expect([answer.status, answer.body.errors[0]?.location]).toStrictEqual([422, 'query.limit']);
});

test('a limit above the maximum is clamped, and unknown parameters are ignored', async () => {
  await using http = await httpFixture();
  const asked: number[] = [];
  const { listExecutions } = http.store;
  http.store.listExecutions = (p) => {
    asked.push(p.limit);
    return listExecutions(p);
  };
  await http.call('GET', EXECUTIONS);
  await http.call('GET', `${EXECUTIONS}?limit=501&foo=bar&limits=x`);
  await http.call('GET', `${EXECUTIONS}?limit=${'9'.repeat(400)}`);
  expect(asked).toStrictEqual([50, 500, 500]);
});

test('a malformed cursor and a cursor of another list get 422', async () => {
  await using http = await httpFixture();
  await connect(http.store, 'dm-two');
  await http.create();
  await http.create();
  const { next_cursor: cursor = '' } = (await http.call('GET', `${EXECUTIONS}?limit=1`)).body;
  const executionId = await http.create();
  const flipped = `${cursor[0] === 'A' ? 'B' : 'A'}${cursor.slice(1)}`;
  for (const path of [
    `${EXECUTIONS}?cursor=`,
    `${EXECUTIONS}?cursor=1`,
    `${EXECUTIONS}?cursor=${'A'.repeat(100)}`,
    `${EXECUTIONS}?cursor=${flipped}`,
    `${EXECUTIONS}?cursor=${cursor}%3D`,
    `${EXECUTIONS}?cursor=${cursor}&cursor=${cursor}`,
    `${EXECUTIONS}?cursor=${cursor}&status=queued`,
    `/v1/machines/dm-two/executions?cursor=${cursor}`,
    `/v1/machines?cursor=${cursor}`,
    `/v1/api-keys?cursor=${cursor}`,
    `/v1/join-tokens?cursor=${cursor}`,
    `/v1/audit?cursor=${cursor}`,
    `${EXECUTIONS}/${executionId}/events?cursor=${cursor}`,
  ]) {
    const answer = await http.call('GET', path);
    expect([path, answer.status, answer.body.errors?.[0]?.location]).toStrictEqual([path, 422, 'query.cursor']);
  }
  expect((await http.call('GET', `${EXECUTIONS}?cursor=${cursor}`)).status).toBe(200);
});

test('machines are listed oldest first, with and without created_at', async () => {
  await using http = await httpFixture();
  await connect(http.store, 'dm-two');
  expect(await pages(http, '/v1/machines?limit=1')).toStrictEqual([MACHINE, 'dm-two']);
  const list = await http.call('GET', '/v1/machines?limit=1');
  const { created_at: createdAt, ...detail } = list.body.items[0] as AnswerBody;
  expect(createdAt).toMatch(/Z$/);
  const one = await http.call('GET', `/v1/machines/${MACHINE}`);
  expect(one.body).toStrictEqual(detail);
  expect(one.body).toMatchObject({
    machine_id: MACHINE,
    vcpu: 2,
    memory_mib: 1024,
    storage_gib: 10,
    autosleep_seconds: 0,
    desired_state: 'running',
    status: { phase: 'running', reason: 'agent_connected', retryable: true, revision: expect.any(String) },
  });
});

test('a removed machine is destroyed for good, and in no list', async () => {
  await using http = await httpFixture();
  const removed = await http.call('DELETE', `/v1/machines/${MACHINE}`);
  expect(removed.body).toMatchObject({
    desired_state: 'destroyed',
    status: { phase: 'destroyed', reason: 'removed', retryable: false },
  });
  const after = [
    await http.call('GET', `/v1/machines/${MACHINE}`),
    await http.call('DELETE', `/v1/machines/${MACHINE}`),
  ];
  for (const answer of after) expect(answer.body).toStrictEqual(removed.body);
  expect((await http.call('GET', '/v1/machines')).body.items).toStrictEqual([]);
  const create = await http.call('POST', EXECUTIONS, { body: { command: ['true'] } });
  expect([create.status, create.body['error_code']]).toStrictEqual([409, 'INVALID_STATE']);
});

test('an execution waits for a machine that is away, and says when to ask again', async () => {
  await using http = await httpFixture();
  await http.store.machineDisconnected({ machineId: MACHINE, epoch: 1, now: Date.now() });
  const { body } = await http.call('POST', EXECUTIONS, { body: { command: ['true'] } });
  expect(body).toMatchObject({ status: 'wake_in_progress', retry_after_ms: 1000 });
  const machine = await http.call('GET', `/v1/machines/${MACHINE}`);
  expect(machine.body['status']).toMatchObject({ phase: 'sleeping', reason: 'agent_away' });
});

test('executions of all machines are listed newest first; a limited key sees only those of its machines', async () => {
  await using http = await httpFixture();
  await connect(http.store, 'dm-two');
  const made: string[] = [];
  for (const machineId of [MACHINE, 'dm-two', MACHINE]) {
    const answer = await http.call('POST', `/v1/machines/${machineId}/executions`, { body: { command: ['true'] } });
    made.unshift(answer.body.execution_id);
  }
  expect(await pages(http, '/v1/executions?limit=1')).toStrictEqual(made);
  const limited = await http.call('POST', '/v1/api-keys', {
    body: { name: 'k', scopes: ['executions:read'], machine_ids: ['dm-two'] },
  });
  const seen = await http.call('GET', '/v1/executions', { key: String(limited.body['key']) });
  expect(seen.body.items.map(({ execution_id }) => execution_id)).toStrictEqual([made[1]]);
  const future = new Date(Date.now() + 60_000).toISOString();
  expect((await http.call('GET', `/v1/executions?since=${future}`)).body.items).toStrictEqual([]);
  expect((await http.call('GET', '/v1/executions?status=queued')).body.items).toHaveLength(3);
});

test.each(['yesterday', '2026-01-31', '2026-13-31T12:00:00Z', '1764331200000'])('since=%s gets 422', async (since) => {
  await using http = await httpFixture();
  const answer = await http.call('GET', `/v1/executions?since=${since}`);
  expect(answer.body.errors).toMatchObject([{ location: 'query.since' }]);
});

test.each([
  ['cursor', 63],
  ['status', 255],
])('the value of a refused %s is not cut within a character', async (name, length) => {
  await using http = await httpFixture();
  const value = encodeURIComponent(`${'x'.repeat(length)}😀`);
  const answer = await http.call('GET', `${EXECUTIONS}?${name}=${value}`);
  expect(answer.body.errors).toMatchObject([{ location: `query.${name}`, value: `${'x'.repeat(length)}\ufffd` }]);
});

test.each([
  ['/v1/audit/export?after=x', 'query.after', 'must be the audit_id of an entry'],
  ['/v1/audit/export?after=', 'query.after', 'must be the audit_id of an entry'],
  [`/v1/machines/${MACHINE}/artifacts?execution_id=a/b`, 'query.execution_id', /^must be an id/],
  [`/v1/machines/${MACHINE}/artifacts?execution_id=${'a'.repeat(254)}`, 'query.execution_id', /more than 253/],
])('%s is refused', async (path, location, message) => {
  await using http = await httpFixture();
  const answer = await http.call('GET', path);
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([
    { location, message: typeof message === 'string' ? message : expect.stringMatching(message) },
  ]);
});
