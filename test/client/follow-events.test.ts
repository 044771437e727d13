/** The event log over connections that break. */
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { followEvents } from '../../src/client/follow-events.ts';
import type { OutageListener } from '../../src/client/http/outage.ts';
import { ServerSentEventParser } from '../../src/client/http/server-sent-events.ts';
import { Transport } from '../../src/client/http/transport.ts';
import { json, refuseToTalk, scriptedServer } from './scripted-server.ts';

const LOG = [
  { sequence: 1, type: 'lifecycle', at: '', status: 'running' },
  { sequence: 2, type: 'stdout', at: '', chunk: Buffer.from([0, 255]).toString('base64') },
  { sequence: 3, type: 'lifecycle', at: '', status: 'succeeded' },
];

/** Sends these events; then ends the stream, or hangs up. */
function stream(sequences: readonly number[], end: 'ends' | 'breaks') {
  return (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const text = sequences.map((sequence) => `data: ${JSON.stringify(LOG[sequence - 1])}\n\n`).join('');
    response.write(`:\n\n${text}`, () => (end === 'ends' ? response.end() : response.destroy()));
  };
}

test('a broken stream resumes after its last event, and repeats no event', async () => {
  const server = await scriptedServer(stream([1], 'breaks'), stream([1, 2], 'breaks'), stream([3], 'ends'));
  const events = await Array.fromAsync(followEvents(new Transport(server), '/x'));
  expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  expect(events[1]?.chunk).toEqual(new Uint8Array([0, 255]));
  expect(server.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '1', '2']);
});

test('a stream that ends before the terminal event resumes too', async () => {
  const server = await scriptedServer(stream([1, 2], 'ends'), stream([3], 'ends'));
  const events = await Array.fromAsync(followEvents(new Transport(server), '/x', { after: 1 }));
  expect(events.map(({ sequence }) => sequence)).toEqual([2, 3]);
});

test.each(['{', '7', '{"sequence": "1", "type": "lifecycle"}', '{"sequence": 1, "type": "stdout", "chunk": 7}'])(
  'a stream of %s is not the log of an execution',
  async (data) => {
    const server = await scriptedServer((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${data}\n\n`);
    });
    const events = followEvents(new Transport(server), '/x');
    await expect(events.next()).rejects.toMatchObject({ name: 'UnexpectedAnswerError', status: 200 });
    expect(server.asked).toHaveLength(1);
  },
);

test('a refusal is thrown', async () => {
  const server = await scriptedServer(json({ detail: 'There is no such execution.' }, 404));
  const events = followEvents(new Transport(server), '/x');
  await expect(events.next()).rejects.toMatchObject({ status: 404 });
});

test('an unreachable server is reported once, and again when it is back', async () => {
  const told: string[] = [];
  const outage: OutageListener = { away: ({ name }) => void told.push(name), back: () => void told.push('back') };
  const away = [refuseToTalk, refuseToTalk, refuseToTalk, refuseToTalk];
  const server = await scriptedServer(refuseToTalk, ...away, stream([1, 2, 3], 'ends'));
  const events = await Array.fromAsync(followEvents(new Transport(server), '/x', { outage }));
  expect(events).toHaveLength(3);
  expect(told).toEqual(['UnreachableError', 'back']);
});

test('an abort ends the iteration, in the middle of a stream and in a pause', async () => {
  const abort = new AbortController();
  const server = await scriptedServer((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(LOG[0])}\n\n`);
  }, refuseToTalk);
  const events = followEvents(new Transport(server), '/x', { signal: abort.signal });
  await events.next();
  const next = events.next();
  abort.abort(new Error('enough'));
  await expect(next).rejects.toThrow('enough');
});

describe('server-sent events', () => {
  const text = ':\n\nid: 1\nevent: stdout\ndata: {"a":1}\n\n: alive\n\nid: 2\r\ndata: one\r\ndata: two\r\n\r\n';

  test('comments and other fields are skipped, and data lines are joined', () => {
    expect(new ServerSentEventParser().push(text)).toEqual(['{"a":1}', 'one\ntwo']);
  });

  test('the events are the same wherever the text is cut', () => {
    for (let at = 0; at <= text.length; at += 1) {
      const parser = new ServerSentEventParser();
      expect([...parser.push(text.slice(0, at)), ...parser.push(text.slice(at))]).toEqual(['{"a":1}', 'one\ntwo']);
    }
  });
});
