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
