import { expect, test } from 'vitest';
import { httpFixture, MACHINE } from '../../http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;
const octets = { 'content-type': 'application/octet-stream' };

test('bytes reach an open stdin exactly, at their offset', async () => {
  await using http = await httpFixture();
  const made = await http.call('POST', EXECUTIONS, { body: { command: ['cat'], stdin_open: true } });
  const path = `${EXECUTIONS}/${made.body.execution_id}/stdin`;
  const pieces: unknown[] = [];
  const { writeStdin } = http.control;
  http.control.writeStdin = (p) => {
    pieces.push([p.bytes, p.offset, p.close]);
    return writeStdin(p);
  };
  const bytes = Buffer.from([0, 0xff, 0x0a]);
  const written = await http.call('POST', `${path}?offset=5`, { body: bytes, headers: octets });
  expect(written.body).toStrictEqual({ execution_id: made.body.execution_id, offset: 8, closed: false });
  const closed = await http.call('POST', `${path}?offset=8&close=true`);
  expect(closed.body).toMatchObject({ offset: 8, closed: true });
  expect(pieces).toStrictEqual([
    [bytes, 5, false],
    [Buffer.alloc(0), 8, true],
  ]);
});

test('a retry with an offset writes what a server that died did not', async () => {
  await using http = await httpFixture();
  const made = await http.call('POST', EXECUTIONS, { body: { command: ['cat'], stdin_open: true } });
  const path = `${EXECUTIONS}/${made.body.execution_id}/stdin`;
  const write = (query: string, key: string) =>
    http.call('POST', `${path}${query}`, { body: Buffer.from('abc'), headers: { ...octets, 'idempotency-key': key } });
  const { writeStdin } = http.control;
  const bound = Promise.withResolvers<void>();
  // The first server dies after the binding of the key.
  http.control.writeStdin = () => new Promise(() => bound.resolve());
  void write('?offset=0', 'with-offset');
  await bound.promise;
  const pieces: unknown[] = [];
  http.control.writeStdin = (p) => {
    pieces.push(p.offset);
    return writeStdin(p);
  };
  const retried = await write('?offset=0', 'with-offset');
  expect(retried.body).toMatchObject({ offset: 3, closed: false });
  expect(retried.headers['idempotency-replayed']).toBe('true');
  for (const again of [await write('', 'appended'), await write('', 'appended')]) expect(again.status).toBe(200);
  expect(pieces).toEqual([0, undefined]);
  http.control.writeStdin = async () => ({ outcome: 'not_open' });
  expect(await write('?offset=0', 'with-offset')).toMatchObject({
    status: 200,
    body: { execution_id: made.body.execution_id },
  });
});

test('input to a stdin that is not open gets 409, which says why', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const answer = await http.call('POST', `${EXECUTIONS}/${executionId}/stdin`, {
    body: Buffer.from('x'),
    headers: octets,
  });
  expect(answer.status).toBe(409);
  expect(answer.body).toMatchObject({ error_code: 'INVALID_STATE', details: { reason: 'not_open' } });
});

test.each([
  ['a media type of text', '', { 'content-type': 'application/json' }, 415],
  ['an offset that is not a number', '?offset=x', octets, 422],
  ['an offset that is too large', `?offset=${'9'.repeat(20)}`, octets, 422],
  ['a close that is not a boolean', '?close=1', octets, 422],
])('stdin with %s is refused', async (_name, query, headers, status) => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const answer = await http.call('POST', `${EXECUTIONS}/${executionId}/stdin${query}`, {
    body: Buffer.from('x'),
    headers,
  });
  expect(answer.status).toBe(status);
});

test('a signal is sent by name, and changes nothing after the end', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const path = `${EXECUTIONS}/${executionId}/signal`;
  const early = await http.call('POST', path, { body: { signal: 'SIGHUP' } });
  expect(early.body).toMatchObject({ error_code: 'INVALID_STATE', details: { reason: 'not_running' } });
  await http.start(executionId);
  const sent = await http.call('POST', path, { body: { signal: 'SIGHUP' } });
  expect(sent.body).toMatchObject({ execution_id: executionId, status: 'running' });
  await http.finish(executionId);
  http.control.signal = async () => 'stale';
  expect((await http.call('POST', path, { body: { signal: 'SIGTERM' } })).body).toMatchObject({ status: 'succeeded' });
  const unknown = await http.call('POST', path, { body: { signal: 'SIGNOPE' } });
  expect(unknown.body.errors).toMatchObject([{ location: 'body.signal', value: 'SIGNOPE' }]);
});
