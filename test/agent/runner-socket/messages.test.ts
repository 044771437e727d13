/** The socket between link and runner: one schema for each direction. A message that matches none ends the connection. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LINK_TO_RUNNER_SCHEMAS, RUNNER_TO_LINK_SCHEMAS } from '../../../src/agent/runner-socket/frames.ts';
import { FROM_LINK, FROM_RUNNER, MessageDecoder, recordsHeader } from '../../../src/agent/runner-socket/messages.ts';
import { encodeRecord, REPORT_KIND } from '../../../src/core/report.ts';
import { linkedRunner } from '../../helpers/runner-process.ts';

const START = {
  type: 'start',
  execution_id: 'a',
  runner_instance: 'r',
  dispatch_number: 1,
  command: ['true'],
  max_output_bytes: 1,
  stdin: 'none',
  grace_ms: 0,
};

const LEGAL_FROM_LINK = [
  { type: 'attach', channel: 1, max_concurrency: 1 },
  { type: 'prepare' },
  { type: 'unlinked' },
  { type: 'stop', grace_ms: 0 },
  START,
  { ...START, env: { A: '1' }, cwd: '/', user: 'root', timeout_ms: 0.5, stdin: 'fixed' },
  { type: 'cancel', execution_id: 'a', grace_ms: 0 },
  { type: 'ack', acks: [['a', 1]] },
];
const ILLEGAL_FROM_LINK = [
  { type: 'attach', channel: 1, max_concurrency: 0 },
  { type: 'stop' },
  { type: 'rotate', join_token: 'xpj' },
  { type: 'attached', runner_instance: 'r', pid: 1 },
  { type: 'hello' },
  { ...START, command: [] },
  { ...START, command: 'true' },
  { ...START, command: ['a\0b'] },
  { ...START, cwd: '/a\0b' },
  { ...START, env: { 'LD_PRELOAD=x': '1' } },
  { ...START, env: { '': '1' } },
  { ...START, env: { A: 'a\0b' } },
  { ...START, execution_id: '../a' },
  null,
  [],
  {},
  { type: 7 },
  { type: '__proto__' },
];

function message(value: unknown, kind = 1): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(9);
  head.writeUInt32LE(json.length + 5, 0);
  head.writeUInt8(kind, 4);
  head.writeUInt32LE(json.length, 5);
  return Buffer.concat([head, json]);
}

describe('messages that a runner accepts from a link', () => {
  test.each(LEGAL_FROM_LINK)('include %j', (frame) => {
    const [read] = new MessageDecoder(FROM_LINK).push(message(frame));
    expect(read).toMatchObject({ kind: 'frame', frame });
  });

  test.each(ILLEGAL_FROM_LINK)('exclude %j', (frame) => {
    expect(() => new MessageDecoder(FROM_LINK).push(message(frame))).toThrow('from the link');
  });

  test('exclude records, another kind of message, and a frame that is longer than its message', () => {
    const record = encodeRecord({
      kind: REPORT_KIND.stdout,
      executionId: 'a',
      number: 1,
      at: 1,
      payload: Buffer.of(1),
    });
    const records = Buffer.concat([recordsHeader(record.length), record]);
    const long = message({ type: 'prepare' });
    long.writeUInt32LE(1000, 5);
    for (const bytes of [records, message({ type: 'prepare' }, 3), long]) {
      expect(() => new MessageDecoder(FROM_LINK).push(bytes)).toThrow('from the link');
    }
    expect(new MessageDecoder(FROM_RUNNER).push(records)).toEqual([{ kind: 'records', bytes: record }]);
  });
});

describe('messages that a link accepts from a runner', () => {
  test.each([
    { type: 'attached', runner_instance: 'r', pid: 1 },
    { type: 'attach_refused', reason: 'no' },
    { type: 'capacity', accepting: false, reason: 'disk_full' },
    { type: 'stopped' },
  ])('include %j', (frame) => {
    expect(new MessageDecoder(FROM_RUNNER).push(message(frame))).toMatchObject([{ kind: 'frame', frame }]);
  });

  test.each([{ type: 'attached', runner_instance: 'r' }, { type: 'hello' }, START, { type: 'attached', pid: 1.5 }])(
    'exclude %j',
    (frame) => {
      expect(() => new MessageDecoder(FROM_RUNNER).push(message(frame))).toThrow('from the runner');
    },
  );
});

test.each([
  ['an unknown frame', message({ type: 'restart' })],
  ['a malformed start', message({ ...START, command: [] })],
  ['records', Buffer.concat([recordsHeader(1), Buffer.of(0)])],
  ['a frame before attach', message({ type: 'prepare' })],
])('%s closes the socket, and the runner keeps its commands', async (_name, bytes) => {
  const { directory, link } = await linkedRunner();
  link.start('kept', ['sleep', '60']);
  await link.started('kept');
  const stranger = connect(join(directory, 'runner.sock'));
  const closed = new Promise<void>((resolve) => stranger.once('close', () => resolve()));
  stranger.on('error', () => {});
  stranger.write(bytes);
  await closed;
  expect(link.closed).toBe(false);
  link.send({ type: 'cancel', execution_id: 'kept', grace_ms: 0 });
  expect((await link.ended('kept')).ended.status).toBe('cancelled');
});

test('docs/PROTOCOL.md names the frames of both directions', () => {
  const page = readFileSync(new URL('../../../docs/PROTOCOL.md', import.meta.url), 'utf8');
  const [, section = ''] = page.split('## Runner socket\n');
  const rows = [...section.matchAll(/^\| `(\w+)` \| (link → runner|runner → link) \|/gm)];
  const own = (schemas: readonly { properties: { type: { const: string } } }[], passed: readonly string[]) =>
    schemas.map((schema) => schema.properties.type.const).filter((type) => !passed.includes(type));
  const server = [
    'welcome',
    'start',
    'cancel',
    'signal',
    'stdin',
    'output_limit',
    'resize',
    'usage_query',
    'ack',
    'forget',
  ];
  const named = (direction: string) => rows.filter((row) => row[2] === direction).map((row) => row[1]);
  expect(named('link → runner').sort()).toEqual(own(LINK_TO_RUNNER_SCHEMAS, server).sort());
  expect(named('runner → link').sort()).toEqual(own(RUNNER_TO_LINK_SCHEMAS, ['capacity', 'stdin_ack', 'usage']).sort());
});
