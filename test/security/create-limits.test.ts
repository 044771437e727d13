/** Limits of creates hold for everything that creates executions, and for what it keeps until then. */
import { expect, test } from 'vitest';
import { runningServer } from '../helpers/running-server.ts';
import { httpFixture, MACHINE } from '../server/http/http-fixture.ts';

test('the commands of batches and schedules count in the bytes of their key', async () => {
  await using server = await runningServer({ maxQueuedBytesPerKey: '3000' });
  await server.machine('dm-one');
  const asked = await server.client.ask<{ key: string }>('POST', '/v1/api-keys', {
    body: { name: 'limited', scopes: ['executions:write'] },
  });
  const limited = server.client.with(asked.key);
  const selector = { machine_ids: ['dm-one'] };
  const large = { command: ['echo', 'x'.repeat(990)], selector };
  const create = async (path: string, body: object) => (await limited.request('POST', path, { body })).status;
  expect(await create('/v1/schedules', { ...large, every: '1d' })).toBe(200);
  expect(await create('/v1/schedules', { ...large, every: '1d', paused: true })).toBe(200);
  expect(await create('/v1/batches', large)).toBe(429);
  expect(await create('/v1/schedules', { ...large, every: '1d' })).toBe(429);
  expect(await create('/v1/machines/dm-one/executions', { command: large.command })).toBe(429);
});

/** A server on which the requests of one key may have 3000 bytes, and that key. */
async function serverWithQuota() {
  const server = await runningServer({ maxQueuedBytesPerKey: '3000' });
  await server.machine('dm-one');
  const body = { name: 'limited', scopes: ['executions:write'] };
  const { key } = await server.client.ask<{ key: string }>('POST', '/v1/api-keys', { body });
  return Object.assign(server, { limited: server.client.with(key) });
}

test.each([
  ['an execution', '/v1/machines/dm-one/executions', {}],
  ['a batch', '/v1/batches', { selector: { machine_ids: ['dm-one'] } }],
  ['a schedule', '/v1/schedules', { selector: { machine_ids: ['dm-one'] }, every: '1d' }],
])('the retry of %s that filled the bytes of its key returns the first answer', async (_what, path, fields) => {
  await using server = await serverWithQuota();
  const body = { command: ['echo', 'x'.repeat(2900)], ...fields };
  const create = (key: string) => server.limited.request('POST', path, { body, headers: { 'idempotency-key': key } });
  const first = await create('first');
  const again = await create('first');
  const other = await create('other');
  expect([first.status, again.status, other.status]).toEqual([200, 200, 429]);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
});

test('the run of a schedule is skipped if its command does not fit in the bytes of the key', async () => {
  await using server = await serverWithQuota();
  const selector = { machine_ids: ['dm-one'] };
  const body = { command: ['echo', 'x'.repeat(2000)], selector, every: '1s' };
  const { schedule_id: id } = await server.limited.ask<{ schedule_id: string }>('POST', '/v1/schedules', { body });
  const runs = async () => (await server.client.ask<{ items: object[] }>('GET', `/v1/schedules/${id}/runs`)).items;
  await expect
    .poll(runs, { timeout: 20_000 })
    .toContainEqual(expect.objectContaining({ outcome: 'skipped', reason: 'key_queue_full' }));
  expect(await server.limited.ask('GET', '/v1/batches')).toEqual({ items: [] });
  const small = { body: { command: ['echo', 'x'] } };
  await server.limited.ask('PATCH', `/v1/schedules/${id}`, small);
  await expect.poll(runs, { timeout: 20_000 }).toContainEqual(expect.objectContaining({ outcome: 'started' }));
});

test.each([
  ['a terminal', '/v1/machines/dm-one/terminals', { width: 80, height: 24 }],
  ['a batch', '/v1/batches', { command: ['true'], selector: { machine_ids: [MACHINE] } }],
  ['a schedule', '/v1/schedules', { command: ['true'], every: '1d', selector: { machine_ids: [MACHINE] } }],
])('%s counts as a create, too', async (_what, path, body) => {
  await using http = await httpFixture({ config: { maxCreatesPerSecond: '2' }, now: () => 1_800_000_000_000 });
  const statuses = [];
  for (let count = 0; count < 3; count += 1) statuses.push((await http.call('POST', path, { body })).status);
  expect(statuses).toEqual([200, 200, 429]);
});

test('the env of a terminal has the limits of any env', async () => {
  await using http = await httpFixture({ config: { maxEnv: '2' } });
  const open = (env: Record<string, string>) =>
    http.call('POST', `/v1/machines/${MACHINE}/terminals`, { body: { width: 80, height: 24, env } });
  expect((await open({ A: '1', B: '2' })).status).toBe(200);
  const refused = await open({ A: '1', B: '2', C: '3' });
  expect([refused.status, refused.body.errors[0]?.location]).toEqual([422, 'body.env']);
});
