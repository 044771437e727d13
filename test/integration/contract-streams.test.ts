/** Contract §4: waiting, server-sent events, raw output, ranges, tails, following. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireEvent } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

interface Frame {
  id?: string;
  event?: string;
  data: WireEvent;
}

/** Reads server-sent events until the stream closes or `enough` returns true. */
async function stream(
  executionId: string,
  p: { headers?: Record<string, string>; query?: Record<string, string>; enough?: (frames: Frame[]) => boolean } = {},
): Promise<Frame[]> {
  const abort = new AbortController();
  const response = await deployment.client.open('GET', deployment.machine.at(executionId, '/events'), {
    headers: { accept: 'text/event-stream', ...p.headers },
    query: p.query ?? {},
    signal: abort.signal,
  });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const frames: Frame[] = [];
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    frames.push(...blocks.flatMap(frameOf));
    if (p.enough?.(frames) === true) break;
  }
  abort.abort();
  return frames;
}

function frameOf(block: string): Frame[] {
  const fields = new Map(
    block
      .split('\n')
      .filter((line) => !line.startsWith(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()] as const),
  );
  const data = fields.get('data');
  if (data === undefined) return [];
  const id = fields.get('id');
  const event = fields.get('event');
  return [{ data: JSON.parse(data), ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }) }];
}

const TICKING = 'i=0; while [ $i -lt 20 ]; do echo $i; i=$((i+1)); sleep 0.02; done';

describe('?wait_ms', () => {
  test('POST answers as soon as the execution is terminal', async () => {
    const before = performance.now();
    const execution = await deployment.machine.create(
      { command: ['/bin/sh', '-c', 'sleep 0.2; exit 4'] },
      { wait_ms: 30_000 },
    );
    expect(execution).toMatchObject({ status: 'failed', exit_code: 4 });
    expect(performance.now() - before).toBeLessThan(15_000);
  });

  test('POST answers after N ms with the present state if the execution has not ended', async () => {
    const before = performance.now();
    const execution = await deployment.machine.create({ command: ['/bin/sleep', '600'] }, { wait_ms: 4000 });
    // The wait takes seconds, so that the command has started even on a slow machine.
    expect(performance.now() - before).toBeGreaterThanOrEqual(3990);
    expect(execution.status).toBe('running');
    expect(await deployment.machine.read(execution.execution_id, { wait_ms: 100 })).toMatchObject({
      status: 'running',
    });
    expect(await deployment.machine.cancel(execution.execution_id, { wait_ms: 20_000 })).toMatchObject({
      status: 'cancelled',
    });
  });

  test.each(['x', '-1', '1.5', ''])('%j gets 422', async (wait_ms) => {
    expect((await deployment.client.get(deployment.machine.path.concat('/x'), { wait_ms })).status).toBeOneOf([
      404, 422,
    ]);
    const answer = await deployment.client.request('POST', deployment.machine.path, {
      body: { command: ['/bin/true'] },
      query: { wait_ms },
    });
    expect(answer.status).toBe(422);
  });

  test('a wait of more than 55 000 ms is clamped, not refused', async () => {
    expect(await deployment.machine.create({ command: ['/bin/true'] }, { wait_ms: 99_999_999 })).toMatchObject({
      status: 'succeeded',
    });
  });

  test('GET …/events answers as soon as there is an event past the cursor', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; read line; echo "got $line"; exec sleep 600'],
      stdin_open: true,
    });
    await deployment.machine.printed(execution_id, 'ready');
    const { next_cursor } = await deployment.machine.page(execution_id);
    const waiting = deployment.machine.page(execution_id, { cursor: next_cursor ?? '', wait_ms: 30_000 });
    await deployment.client.request('POST', deployment.machine.at(execution_id, '/stdin'), {
      body: Buffer.from('hello\n'),
      headers: { 'content-type': 'application/octet-stream' },
    });
    const page = await waiting;
    expect(page.items[0]).toMatchObject({ type: 'stdout', chunk: 'got hello\n' });
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
  });
});

describe('server-sent events', () => {
  test('id is the sequence, event the type, data the ExecutionEvent; the stream closes after the terminal event', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sh', '-c', TICKING] });
    const frames = await stream(execution_id);
    expect(frames.map(({ id }) => id)).toEqual(frames.map((_, n) => String(n + 1)));
    for (const { event, data } of frames) expect(event).toBe(data.type);
    expect(frames.map(({ data }) => data)).toEqual(await deployment.machine.events(execution_id));
    expect(frames.at(-1)?.data.status).toBe('succeeded');
  });

  test('the stream of an ended execution has all events at once', async () => {
    const { execution_id } = await deployment.machine.sh(TICKING);
    expect((await stream(execution_id)).map(({ data }) => data)).toEqual(await deployment.machine.events(execution_id));
  });

  test('a stream resumes after Last-Event-ID without a gap or a repeat', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sh', '-c', TICKING] });
    const first = await stream(execution_id, { enough: (frames) => frames.length >= 5 });
    const last = first.at(-1)?.id ?? '';
    const rest = await stream(execution_id, { headers: { 'last-event-id': last } });
    const all = await deployment.machine.events(execution_id);
    expect([...first, ...rest].map(({ data }) => data.sequence)).toEqual(all.map(({ sequence }) => sequence));
  });

  test('a stream resumes after cursor', async () => {
    const { execution_id } = await deployment.machine.sh(TICKING);
    const page = await deployment.machine.page(execution_id, { limit: 3 });
    const rest = await stream(execution_id, { query: { cursor: page.next_cursor ?? '' } });
    expect(rest[0]?.id).toBe('4');
  });

  test('encoding=base64 applies to the stream too', async () => {
    const { execution_id } = await deployment.machine.sh("printf '\\377'");
    const frames = await stream(execution_id, { query: { encoding: 'base64' } });
    expect(frames.find(({ event }) => event === 'stdout')?.data.chunk).toBe('/w==');
  });

  test('an invalid Last-Event-ID gets 422', async () => {
    const { execution_id } = await deployment.machine.run({ command: ['/bin/true'] });
    const answer = await deployment.client.get(
      deployment.machine.at(execution_id, '/events'),
      {},
      {
        accept: 'text/event-stream',
        'last-event-id': 'x',
      },
    );
    expect(answer.status).toBe(422);
  });

  test('the stream sends a comment line every 15 s as keep-alive', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sleep', '600'] });
    const abort = new AbortController();
    const response = await deployment.client.open('GET', deployment.machine.at(execution_id, '/events'), {
      headers: { accept: 'text/event-stream' },
      signal: abort.signal,
    });
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (/^:/m.test(text)) break;
    }
    abort.abort();
    expect(text).toMatch(/^:/m);
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
  });

  test('twenty readers of one execution see the same events', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sh', '-c', TICKING] });
    const readers = await Promise.all(Array.from({ length: 20 }, () => stream(execution_id)));
    const all = await deployment.machine.events(execution_id);
    for (const frames of readers) expect(frames.map(({ data }) => data)).toEqual(all);
  });
});

describe('raw output', () => {
  const raw = (id: string, query = {}, headers = {}) =>
    deployment.client.get(deployment.machine.at(id, '/output/stdout'), query, headers);

  test('both streams are application/octet-stream', async () => {
    const { execution_id } = await deployment.machine.sh('printf out; printf err >&2');
    const answer = await raw(execution_id);
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(answer.bytes.toString()).toBe('out');
    expect((await deployment.machine.raw(execution_id, 'stderr')).toString()).toBe('err');
  });

  test('a third stream gets 404', async () => {
    const { execution_id } = await deployment.machine.run({ command: ['/bin/true'] });
    expect((await deployment.client.get(deployment.machine.at(execution_id, '/output/stdin'))).status).toBe(404);
  });

  test('Range gets 206 with content-range, also for a suffix and an open end', async () => {
    const { execution_id } = await deployment.machine.sh('printf 0123456789');
    const middle = await raw(execution_id, {}, { range: 'bytes=2-5' });
    expect(middle.status).toBe(206);
    expect(middle.headers.get('content-range')).toBe('bytes 2-5/10');
    expect(middle.bytes.toString()).toBe('2345');
    expect((await raw(execution_id, {}, { range: 'bytes=-3' })).bytes.toString()).toBe('789');
    expect((await raw(execution_id, {}, { range: 'bytes=7-' })).bytes.toString()).toBe('789');
    expect((await raw(execution_id, {}, { range: 'bytes=8-100' })).bytes.toString()).toBe('89');
  });

  test('a Range past the end gets 416 with the length', async () => {
    const { execution_id } = await deployment.machine.sh('printf 0123456789');
    const answer = await raw(execution_id, {}, { range: 'bytes=10-' });
    expect(answer.status).toBe(416);
    expect(answer.headers.get('content-range')).toBe('bytes */10');
  });

  test('an invalid Range is ignored', async () => {
    const { execution_id } = await deployment.machine.sh('printf 0123456789');
    for (const range of ['lines=1-2', 'bytes=x', 'bytes=5-2']) {
      const answer = await raw(execution_id, {}, { range });
      expect([answer.status, answer.bytes.toString()]).toEqual([200, '0123456789']);
    }
  });

  test('the output is available while the command runs', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
    });
    await deployment.machine.printed(execution_id, 'ready');
    expect((await raw(execution_id)).bytes.toString()).toBe('ready\n');
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
  });

  test('?tail=N returns the last N bytes, or all if there are fewer', async () => {
    const { execution_id } = await deployment.machine.sh('printf 0123456789');
    expect((await raw(execution_id, { tail: 4 })).bytes.toString()).toBe('6789');
    expect((await raw(execution_id, { tail: 100 })).bytes.toString()).toBe('0123456789');
    expect((await raw(execution_id, { tail: 0 })).bytes.length).toBe(0);
  });

  test('?tail with Range gets 422', async () => {
    const { execution_id } = await deployment.machine.sh('printf 0123456789');
    expect((await raw(execution_id, { tail: 4 }, { range: 'bytes=0-1' })).status).toBe(422);
  });

  test('?tail on output starts at the next whole character', async () => {
    const { execution_id } = await deployment.machine.sh("printf 'a€b€'; printf xyz >&2");
    const answer = await deployment.client.get<{ stdout: string; stderr: string; stdout_bytes: number }>(
      deployment.machine.at(execution_id, '/output'),
      { tail: 6 },
    );
    expect(answer.json).toMatchObject({ stdout: 'b€', stderr: 'xyz', stdout_bytes: 8 });
  });

  test('?follow=true streams until the end', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sh', '-c', TICKING] });
    const response = await deployment.client.open('GET', deployment.machine.at(execution_id, '/output/stdout'), {
      query: { follow: true },
    });
    const pieces: string[] = [];
    for await (const chunk of response.body ?? []) pieces.push(Buffer.from(chunk).toString());
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.join('')).toBe(Array.from({ length: 20 }, (_, n) => `${n}\n`).join(''));
    expect((await deployment.machine.read(execution_id)).status).toBe('succeeded');
  });
});
