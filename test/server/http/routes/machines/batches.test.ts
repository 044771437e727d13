/** Creates of batches over HTTP that are refused or repeated. */
import { expect, test } from 'vitest';
import { ADMIN_KEY, httpFixture, MACHINE } from '../../http-fixture.ts';

test('a create that may not wait makes no batch', async () => {
  await using http = await httpFixture({ config: { maxStreamsPerKey: '1' } });
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${ADMIN_KEY}` };
  const events = `${await http.listen()}/v1/machines/${MACHINE}/executions/${await http.create()}/events`;
  const reader = new AbortController();
  await fetch(events, { headers, signal: reader.signal });
  const body = { selector: { machine_ids: [MACHINE] }, command: ['true'] };
  expect((await http.call('POST', '/v1/batches?wait_ms=1', { body })).status).toBe(429);
  expect((await http.call('GET', '/v1/batches')).body.items).toEqual([]);
  reader.abort();
});

test('a repeated create by labels gets its batch, even if no machine has the labels any more', async () => {
  await using http = await httpFixture();
  await http.call('POST', '/v1/machines', { body: { machine_id: 'dm-web', labels: { role: 'web' } } });
  const create = (key: string) =>
    http.call('POST', '/v1/batches', {
      body: { selector: { labels: { role: 'web' } }, command: ['true'] },
      headers: { 'idempotency-key': key },
    });
  const first = await create('one');
  await http.call('DELETE', '/v1/machines/dm-web');
  const [again, later] = [await create('one'), await create('other')];
  expect([first.status, again.status, later.status]).toEqual([200, 200, 422]);
  expect(again.body['batch_id']).toBe(first.body['batch_id']);
  expect(again.headers['idempotency-replayed']).toBe('true');
});
