import { expect, test } from 'vitest';
import { connect, type HttpFixture, httpFixture } from '../../http-fixture.ts';

async function label(http: HttpFixture, machineId: string, labels: object): Promise<void> {
  const answer = await http.call('PATCH', `/v1/machines/${machineId}`, { body: { labels } });
  expect(answer.status).toBe(200);
}

test('machines and executions can be selected by labels, and an answer includes labels on request', async () => {
  await using http = await httpFixture();
  await connect(http.store, 'dm-two');
  await label(http, 'dm-one', { role: 'web', 'app/tier': 'a,b' });
  await label(http, 'dm-two', { role: 'db' });
  const ids = async (path: string) => (await http.call('GET', path)).body.items.map(({ machine_id: id }) => id);
  expect(await ids('/v1/machines?label=role=web')).toEqual(['dm-one']);
  expect(await ids('/v1/machines?label=role')).toEqual(['dm-one', 'dm-two']);
  expect(await ids('/v1/machines?label=role&label=app/tier=a,b')).toEqual(['dm-one']);
  const plain = await http.call('GET', '/v1/machines/dm-one');
  expect(plain.body).not.toHaveProperty('labels');
  expect(plain.body).not.toHaveProperty('facts');
  const full = await http.call('GET', '/v1/machines/dm-one?include=labels,facts');
  expect(full.body['labels']).toEqual({ role: 'web', 'app/tier': 'a,b' });
  // The agent of the machine has not reported its host.
  expect(full.body).not.toHaveProperty('facts');
  await http.create();
  await http.call('POST', '/v1/machines/dm-two/executions', { body: { command: ['true'] } });
  expect(await ids('/v1/executions?label=role=web')).toEqual(['dm-one']);
  expect(await ids('/v1/executions?label=role')).toEqual(['dm-two', 'dm-one']);
  expect(await ids('/v1/executions?label=role=none')).toEqual([]);
});

test.each(['', '=x', 'Role', 'role=web%0a'.repeat(30)])(
  'label=%s is refused, or ignored if it is empty',
  async (text) => {
    await using http = await httpFixture();
    const answer = await http.call('GET', `/v1/machines?label=${text}`);
    expect(text === '' ? answer.status : answer.body.errors[0]?.location).toBe(text === '' ? 200 : 'query.label');
  },
);

test('invalid labels are refused', async () => {
  await using http = await httpFixture();
  for (const labels of [{ Role: 'web' }, { role: 'x'.repeat(256) }, { role: 1 }, { '': 'x' }]) {
    expect(await http.call('PATCH', '/v1/machines/dm-one', { body: { labels } })).toMatchObject({ status: 422 });
  }
});
