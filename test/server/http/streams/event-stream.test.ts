import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test, vi } from 'vitest';
import { eventStream } from '../../../../src/server/http/streams/event-stream.ts';
import { ADMIN_KEY, type HttpFixture, httpFixture, MACHINE } from '../http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

interface Frame {
  id: string;
  event: string;
  data: Record<string, unknown>;
}

async function openStream(url: string, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}${path}`, {
    headers: { accept: 'text/event-stream', 'x-api-key': ADMIN_KEY, ...headers },
  });
  return { response, frames: framesOf(response) };
}

async function* framesOf(response: Response): AsyncGenerator<Frame> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const lines = block.split('\n').filter((line) => !line.startsWith(':'));
      const fields = Object.fromEntries(lines.map((line) => line.split(/: (.*)/, 2)));
      yield { id: fields['id'], event: fields['event'], data: JSON.parse(fields['data']) };
    }
  }
}

async function rest(frames: AsyncGenerator<Frame>): Promise<Frame[]> {
  const all: Frame[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

async function finished(http: HttpFixture): Promise<string> {
  const executionId = await http.create();
  await http.start(executionId);
  await http.report(executionId, { kind: 'stdout', payload: 'a\nb' });
  await http.finish(executionId, { stdout_bytes: 3 });
  return executionId;
}

test('events are sent as they happen, and the stream closes after the terminal one', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const executionId = await http.create();
  const { response, frames } = await openStream(url, `${EXECUTIONS}/${executionId}/events`);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'x-request-id': expect.stringMatching(/^req-/),
  });
  expect((await frames.next()).value).toMatchObject({ id: '1', event: 'lifecycle', data: { status: 'queued' } });
  await http.start(executionId);
  expect((await frames.next()).value).toMatchObject({ id: '2', event: 'lifecycle', data: { status: 'running' } });
  await http.report(executionId, { kind: 'stdout', payload: 'a\nb' });
  expect((await frames.next()).value).toMatchObject({ id: '3', event: 'stdout', data: { sequence: 3, chunk: 'a\nb' } });
  await http.finish(executionId);
  expect(await rest(frames)).toMatchObject([{ id: '4', data: { status: 'succeeded', exit_code: 0 } }]);
});

test('a stream resumes after Last-Event-ID, the cursor, or both', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const executionId = await finished(http);
  const path = `${EXECUTIONS}/${executionId}/events`;
  const ids = async (query: string, headers?: Record<string, string>) =>
    (await rest((await openStream(url, `${path}${query}`, headers)).frames)).map((frame) => frame.id);
  const { next_cursor: cursor } = (await http.call('GET', `${path}?limit=2`)).body;
  expect(await ids('')).toStrictEqual(['1', '2', '3', '4']);
  expect(await ids('', { 'last-event-id': '3' })).toStrictEqual(['4']);
  expect(await ids(`?cursor=${cursor}`)).toStrictEqual(['3', '4']);
  expect(await ids(`?cursor=${cursor}`, { 'last-event-id': '3' })).toStrictEqual(['4']);
  const complete = await openStream(url, path, { 'last-event-id': '4' });
  expect([complete.response.status, await rest(complete.frames)]).toStrictEqual([204, []]);
  const wrong = await openStream(url, path, { 'last-event-id': 'x' });
  expect(wrong.response.status).toBe(422);
});

test('a stream that resumes after an event which never comes closes with the end', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const executionId = await http.create();
  const headers = { 'last-event-id': '50' };
  const { response, frames } = await openStream(url, `${EXECUTIONS}/${executionId}/events`, headers);
  expect(response.status).toBe(200);
  await http.start(executionId);
  await http.finish(executionId);
  expect(await rest(frames)).toStrictEqual([]);
});

test('a comment is sent after 15 s of silence', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const execution = await http.store.getExecution({ machineId: MACHINE, executionId });
  if (execution === undefined) throw new Error('not there');
  const { signal } = new AbortController();
  const chunks = eventStream(http, { execution, after: 1, encoding: 'utf8', signal });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    expect((await chunks.next()).value).toBe(':\n');
    const next = chunks.next();
    await vi.advanceTimersByTimeAsync(14_999);
    const quiet = await Promise.race([next, Promise.resolve('quiet')]);
    expect(quiet).toBe('quiet');
    await vi.advanceTimersByTimeAsync(1);
    expect((await next).value).toBe(':\n');
  } finally {
    vi.useRealTimers();
    await chunks.return(undefined);
  }
});

test('a revoked key loses its streams and waits at once', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const executionId = await http.create();
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'x', scopes: ['executions:read'] } });
  const key = String(made.body['key']);
  const path = `${EXECUTIONS}/${executionId}`;
  const stream = await openStream(url, `${path}/events`, { 'x-api-key': key });
  await stream.frames.next();
  const follow = await fetch(`${url}${path}/output/stdout?follow=true`, { headers: { 'x-api-key': key } });
  const waiting = fetch(`${url}${path}?wait_ms=50000`, { headers: { 'x-api-key': key } });
  const polling = fetch(
    `${url}${path}/events?wait_ms=50000&cursor=${(await http.call('GET', `${path}/events`)).body.next_cursor}`,
    {
      headers: { 'x-api-key': key },
    },
  );
  const connections = () => new Promise<number>((resolve) => http.app.server.getConnections((_e, n) => resolve(n)));
  await expect.poll(connections).toBe(4);
  await http.call('DELETE', `/v1/api-keys/${made.body['api_key_id']}`);
  await expect(rest(stream.frames)).rejects.toThrow();
  await expect(follow.arrayBuffer()).rejects.toThrow();
  expect((await waiting).status).toBe(401);
  expect((await polling).status).toBe(401);
});

test('streams of one key are limited', async () => {
  await using http = await httpFixture({ config: { maxStreamsPerKey: '1' } });
  const url = await http.listen();
  const executionId = await http.create();
  const first = await openStream(url, `${EXECUTIONS}/${executionId}/events`);
  await first.frames.next();
  const second = await openStream(url, `${EXECUTIONS}/${executionId}/events`);
  expect(second.response.status).toBe(429);
  const create = await http.call('POST', `${EXECUTIONS}?wait_ms=1`, { body: { command: ['a'] } });
  expect(create.status).toBe(429);
  expect(http.created).toHaveLength(1);
  await first.frames.return(undefined);
  await expect.poll(async () => (await http.call('GET', `${EXECUTIONS}/${executionId}?wait_ms=1`)).status).toBe(200);
});

test('a reader that stops reading delays only itself', async () => {
  await using http = await httpFixture();
  const url = await http.listen();
  const executionId = await http.create();
  await http.start(executionId);
  const payload = Buffer.alloc(65_536, 0x61);
  for (let i = 0; i < 20; i += 1) {
    await http.report(executionId, ...Array.from({ length: 16 }, () => ({ kind: 'stdout' as const, payload })));
  }
  const pages: number[] = [];
  const { listEvents } = http.store;
  http.store.listEvents = (p) => {
    pages.push(p.afterSequence);
    return listEvents(p);
  };
  const { hostname, port } = new URL(url);
  const stuck = connect(Number(port), hostname);
  stuck.pause();
  stuck.write(
    `GET ${EXECUTIONS}/${executionId}/events HTTP/1.1\r\nHost: x\r\nx-api-key: ${ADMIN_KEY}\r\nAccept: text/event-stream\r\n\r\n`,
  );
  // The server sends until the socket buffers are full, and then stops reading the store.
  let before = -1;
  await expect
    .poll(
      () => {
        const still = pages.length > 0 && pages.length === before;
        before = pages.length;
        return still;
      },
      { interval: 200, timeout: 10_000 },
    )
    .toBe(true);
  expect(pages.at(-1)).toBeLessThan(320);
  const other = await openStream(url, `${EXECUTIONS}/${executionId}/events`, { 'last-event-id': '322' });
  await http.finish(executionId);
  expect(await rest(other.frames)).toMatchObject([{ event: 'lifecycle' }]);
  stuck.destroy();
  await once(stuck, 'close');
});

test.each([
  ['text/event-stream', 'text/event-stream'],
  ['Text/Event-Stream; charset=utf-8', 'text/event-stream'],
  ['application/json, text/event-stream;q=0.5', 'text/event-stream'],
  ['application/json, text/event-stream; q=0', 'application/json'],
  ['text/event-streams', 'application/json'],
])('Accept: %s is answered with %s', async (accept, type) => {
  await using http = await httpFixture();
  const path = `${EXECUTIONS}/${await finished(http)}/events`;
  const response = await fetch(`${await http.listen()}${path}`, { headers: { accept, 'x-api-key': ADMIN_KEY } });
  expect(response.headers.get('content-type')).toBe(`${type}; charset=utf-8`);
  await response.text();
});
