/** Waiting webhooks in the list of the console. */
import { expect, test } from 'vitest';
import { httpFixture, MACHINE } from '../http-fixture.ts';

test('webhooks are listed until they are delivered, for admins whose key reaches all machines', async () => {
  await using http = await httpFixture();
  const id = await http.create({ command: ['true'], callback_url: 'https://example.com/hook' });
  await http.start(id);
  await http.finish(id);
  const { status, body } = await http.call('GET', '/console/callbacks');
  expect([status, body.items]).toStrictEqual([
    200,
    [
      {
        machine_id: MACHINE,
        execution_id: id,
        url: 'https://example.com/hook',
        attempts: 0,
        created_at: expect.any(String),
        due_at: expect.any(String),
      },
    ],
  ]);
  const [callback] = await http.store.claimCallbacks({ now: Date.now(), retryAt: Date.now() + 1000, limit: 9 });
  await http.store.finishCallback({ callbackId: callback?.callbackId ?? 0 });
  expect((await http.call('GET', '/console/callbacks')).body.items).toEqual([]);
  for (const key of [{ scopes: ['machines:write'] }, { scopes: ['admin'], machine_ids: [MACHINE] }]) {
    const made = await http.call('POST', '/v1/api-keys', { body: { name: 'some', ...key } });
    expect((await http.call('GET', '/console/callbacks', { key: String(made.body['key']) })).status).toBe(403);
  }
});
