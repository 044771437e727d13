import { expect, test } from 'vitest';
import { httpFixture, MACHINE } from '../../http-fixture.ts';

test('a machine gets the requested id and name if they are free', async () => {
  await using http = await httpFixture();
  const made = await http.call('POST', '/v1/machines', { body: { machine_id: 'dm-web', name: 'web-1' } });
  expect(made).toMatchObject({ status: 202, body: { machine_id: 'dm-web' } });
  // An answer has the name only on request.
  expect(made.body).not.toHaveProperty('name');
  expect((await http.call('GET', '/v1/machines/dm-web?include=name')).body).toMatchObject({ name: 'web-1' });
  const found = await http.call('GET', '/v1/machines?name=web-1&include=name');
  expect(found.body.items).toMatchObject([{ machine_id: 'dm-web', name: 'web-1' }]);
  const taken = (reason: string) => ({ status: 409, body: { error_code: 'INVALID_STATE', details: { reason } } });
  expect(await http.call('POST', '/v1/machines', { body: { machine_id: 'dm-web' } })).toMatchObject(taken('id_taken'));
  expect(await http.call('POST', '/v1/machines', { body: { name: 'web-1' } })).toMatchObject(taken('name_taken'));
  const rename = (name: string) => http.call('PATCH', `/v1/machines/${MACHINE}`, { body: { name } });
  expect(await rename('web-1')).toMatchObject(taken('name_taken'));
  expect(await rename('web-2')).toMatchObject({ status: 200 });
  await http.call('DELETE', '/v1/machines/dm-web');
  expect(await rename('web-1')).toMatchObject({ status: 200 });
});

test.each(['dm-web', 'Web', 'web_', '', '-web', 'x'.repeat(64)])('%j is not a valid machine name', async (name) => {
  await using http = await httpFixture();
  expect(await http.call('POST', '/v1/machines', { body: { name } })).toMatchObject({
    status: 422,
    body: { errors: [{ location: 'body.name' }] },
  });
});
