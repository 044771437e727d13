import { expect, test } from 'vitest';
import { ADMIN_KEY, type HttpFixture, httpFixture, MACHINE } from '../../http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

async function withOutput(http: HttpFixture, stdout: readonly Buffer[], end = true): Promise<string> {
  const executionId = await http.create();
  await http.start(executionId);
  for (const payload of stdout) await http.report(executionId, { kind: 'stdout', payload });
  if (end) await http.finish(executionId, { stdout_bytes: Buffer.concat(stdout).length });
  return `${EXECUTIONS}/${executionId}/output`;
}

test('output before the end gets 409, which may be retried', async () => {
  await using http = await httpFixture();
  const answer = await http.call('GET', await withOutput(http, [], false));
  expect(answer.status).toBe(409);
  expect(answer.body).toMatchObject({ error_code: 'EXECUTION_NOT_FINISHED', retryable: true, retry_after_ms: 1000 });
  expect(answer.headers).toMatchObject({ 'x-should-retry': 'true', 'retry-after-ms': '1000', 'retry-after': '1' });
});

test('all seven fields are present after every kind of end, also of an execution that never started', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.store.machineDisconnected({ machineId: MACHINE, epoch: 1, now: Date.now() });
  const waiting = (await http.call('POST', EXECUTIONS, { body: { command: ['a'] } })).body.execution_id;
  await http.call('DELETE', `${EXECUTIONS}/${waiting}`);
  const answer = await http.call('GET', `${EXECUTIONS}/${waiting}/output`);
  expect(answer.body).toStrictEqual({
    execution_id: waiting,
    stdout: '',
    stderr: '',
    stdout_bytes: 0,
    stderr_bytes: 0,
    stdout_truncated: false,
    stderr_truncated: false,
  });
  expect(executionId).not.toBe(waiting);
  const cancelled = await http.call('GET', `${EXECUTIONS}/${waiting}`);
  expect(cancelled.body).not.toHaveProperty('stdout_bytes');
  expect(cancelled.body).not.toHaveProperty('started_at');
});

test.each([
  ['in one piece', 1],
  ['as a stream', 400],
])('text is exact across the borders of chunks, %s', async (_name, times) => {
  await using http = await httpFixture();
  const text = 'a"\\\n\0\u007f\u2028é€😀\ufeff'.repeat(100);
  const bytes = Buffer.from(text);
  const chunks = Array.from({ length: times }, () => [bytes.subarray(0, 1301), bytes.subarray(1301)]).flat();
  const path = await withOutput(http, chunks);
  const answer = await http.call('GET', path);
  expect(answer.body['stdout'] === text.repeat(times)).toBe(true);
  expect(answer.body['stdout_bytes']).toBe(bytes.length * times);
  const base64 = await http.call('GET', `${path}?encoding=base64`);
  expect(Buffer.from(String(base64.body['stdout']), 'base64').equals(Buffer.concat(chunks))).toBe(true);
  expect(String(base64.body['stdout']).length).toBe(Math.ceil((bytes.length * times) / 3) * 4);
});

test.each([
  [0, ''],
  [1, ''],
  [2, ''],
  [3, '€'],
  [4, '€'],
  [5, 'é€'],
  [6, 'aé€'],
  [600, 'aé€'],
])('a tail of %i bytes starts at a whole character', async (tail, expected) => {
  await using http = await httpFixture();
  const path = await withOutput(http, [Buffer.from('aé€')]);
  const answer = await http.call('GET', `${path}?tail=${tail}`);
  expect(answer.body['stdout']).toBe(expected);
  expect(answer.body['stdout_bytes']).toBe(6);
});

test('a tail that starts with bytes of no character keeps them', async () => {
  await using http = await httpFixture();
  const path = await withOutput(http, [Buffer.from([0x61, 0x80, 0x80, 0x62])]);
  expect((await http.call('GET', `${path}?tail=2`)).body['stdout']).toBe('\ufffdb');
});

test('raw output is the exact bytes, with length and etag', async () => {
  await using http = await httpFixture();
  const bytes = Buffer.from([0, 1, 2, 0xff, 0xfe]);
  const path = `${await withOutput(http, [bytes])}/stdout`;
  const answer = await http.call('GET', path);
  expect(answer.raw.equals(bytes)).toBe(true);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-length': '5',
    'accept-ranges': 'bytes',
    etag: expect.stringMatching(/^"\S+"$/),
  });
  const etag = String(answer.headers['etag']);
  const unchanged = await http.call('GET', path, { headers: { 'if-none-match': `"x", W/${etag}` } });
  expect([unchanged.status, unchanged.raw.length]).toStrictEqual([304, 0]);
  const range = { range: 'bytes=1-2' };
  expect((await http.call('GET', path, { headers: { ...range, 'if-range': etag } })).status).toBe(206);
  expect((await http.call('GET', path, { headers: { ...range, 'if-range': '"old"' } })).raw.length).toBe(5);
});

test.each([
  ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
  ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
  ['bytes=7-', 206, '789', 'bytes 7-9/10'],
  ['bytes=7-99', 206, '789', 'bytes 7-9/10'],
  ['bytes=-3', 206, '789', 'bytes 7-9/10'],
  ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
  ['bytes=10-', 416, undefined, 'bytes */10'],
  ['bytes=-0', 416, undefined, 'bytes */10'],
  ['bytes=4-2', 200, '0123456789', undefined],
  ['bytes=0-1,3-4', 200, '0123456789', undefined],
  ['lines=0-1', 200, '0123456789', undefined],
])('raw output with Range: %s', async (range, status, text, contentRange) => {
  await using http = await httpFixture();
  const path = `${await withOutput(http, [Buffer.from('01234'), Buffer.from('56789')])}/stdout`;
  const answer = await http.call('GET', path, { headers: { range } });
  expect(answer.status).toBe(status);
  expect(answer.headers['content-range']).toBe(contentRange);
  if (text === undefined) expect(answer.headers['content-type']).toBe('application/problem+json');
  else expect(answer.raw.toString()).toBe(text);
});

test('tail and Range exclude each other', async () => {
  await using http = await httpFixture();
  const path = `${await withOutput(http, [Buffer.from('0123456789')])}/stdout`;
  expect((await http.call('GET', `${path}?tail=3`)).raw.toString()).toBe('789');
  const both = await http.call('GET', `${path}?tail=3`, { headers: { range: 'bytes=0-' } });
  expect([both.status, both.body.errors[0]?.location]).toStrictEqual([422, 'query.tail']);
});

test('raw output is available while the command runs, and can be followed to its end', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const path = `${await withOutput(http, [Buffer.from('one ')], false)}/stdout`;
  const executionId = path.split('/').at(-3) ?? '';
  const running = await http.call('GET', path);
  expect(running.raw.toString()).toBe('one ');
  expect(running.headers).not.toHaveProperty('etag');
  const headers = { 'x-api-key': ADMIN_KEY };
  const followed = await fetch(`${url}${path}?follow=true`, { headers });
  const tailed = await fetch(`${url}${path}?follow=true&tail=2`, { headers });
  const reader = followed.body?.getReader();
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('one ');
  await http.report(executionId, { kind: 'stdout', payload: 'two ' });
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('two ');
  await http.report(executionId, { kind: 'stdout', payload: 'three' });
  await http.finish(executionId);
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('three');
  expect((await reader?.read())?.done).toBe(true);
  expect(await tailed.text()).toBe('e two three');
});

test.each(['getExecution', 'readStream'] as const)(
  'a follow whose command ends right after the first %s reaches its end',
  async (method) => {
    await using http = await httpFixture();
    const url = await http.listen();
    const path = `${await withOutput(http, [], false)}/stdout`;
    const executionId = path.split('/').at(-3) ?? '';
    const end = async () => {
      await http.report(executionId, { kind: 'stdout', payload: 'late' });
      await http.finish(executionId);
    };
    const { getExecution, readStream } = http.store;
    if (method === 'getExecution') {
      http.store.getExecution = async (p) => {
        http.store.getExecution = getExecution;
        const execution = await getExecution(p);
        await end();
        return execution;
      };
    } else {
      http.store.readStream = async (p) => {
        http.store.readStream = readStream;
        const bytes = await readStream(p);
        await end();
        return bytes;
      };
    }
    const followed = await fetch(`${url}${path}?follow=true`, { headers: { 'x-api-key': ADMIN_KEY } });
    expect(await followed.text()).toBe('late');
  },
);

test('output that breaks off does not look complete', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const path = await withOutput(
    http,
    Array.from({ length: 8 }, () => Buffer.alloc(65_536, 0x61)),
  );
  const { readStream } = http.store;
  http.store.readStream = (p) => (p.offset === 0 ? readStream(p) : Promise.reject(new Error('disk')));
  const answer = await fetch(`${url}${path}`, { headers: { 'x-api-key': ADMIN_KEY } });
  await expect(answer.text()).rejects.toThrow();
  expect(http.log.filter((line) => line.includes('cut short'))).toHaveLength(1);
});

test('the end of a stream that was cut is included on request, as text that starts at a whole character', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  await http.report(executionId, { kind: 'stdout', payload: Buffer.from('first') });
  const tail = Buffer.from('€"last"\n').subarray(1);
  await http.report(executionId, { kind: 'stdout_tail', payload: tail });
  await http.report(executionId, { kind: 'stderr_tail', payload: Buffer.from('of a stream that is whole') });
  await http.finish(executionId, { stdout_bytes: 1000, stdout_truncated: true });
  const path = `${EXECUTIONS}/${executionId}`;
  const asked = await http.call('GET', `${path}/output?include=tail`);
  expect(asked.body).toMatchObject({
    stdout: 'first',
    stdout_tail: '"last"\n',
    stdout_bytes: 1000,
    stdout_truncated: true,
  });
  expect(asked.body).not.toHaveProperty('stderr_tail');
  const base64 = await http.call('GET', `${path}/output?include=tail&encoding=base64&tail=0`);
  expect(base64.body).toMatchObject({ stdout: '', stdout_tail: tail.toString('base64') });
  expect((await http.call('GET', `${path}/output`)).body).not.toHaveProperty('stdout_tail');
  expect((await http.call('GET', `${path}/output?include=secrets`)).status).toBe(422);
  const included = await http.call('GET', `${path}?include=output,tail`);
  expect(included.body).toMatchObject({ output: { stdout: 'first', stdout_tail: '"last"\n' } });
  expect((await http.call('GET', `${path}?include=output`)).body['output']).not.toHaveProperty('stdout_tail');
});
