import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AgentFrame,
  encodeFrame,
  encodeFrameWith,
  parseAgentFrame,
  parseServerFrame,
  type ServerFrame,
} from '../../src/core/protocol.ts';
import { HELLO } from '../helpers/scripted-agent.ts';

const id = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,40}[A-Za-z0-9])?$/);
const count = fc.nat();
const ack = fc.tuple(id, count);
const storable = (minLength: number) => fc.string({ minLength, maxLength: 64 }).filter((text) => !text.includes('\0'));

const agentFrames: fc.Arbitrary<AgentFrame> = fc.oneof(
  fc.record({
    type: fc.constant('hello' as const),
    protocol: fc.record({ min: fc.integer({ min: 1, max: 9 }), max: fc.integer({ min: 1, max: 9 }) }),
    version: storable(0),
    runner_instance: storable(1),
    boot_id: storable(0),
    last_dispatch_number: count,
    clock_ms: fc.double({ noNaN: true, noDefaultInfinity: true }).map((at) => at + 0),
    max_concurrency: fc.integer({ min: 1 }),
    facts: fc.record({ vcpu: fc.double({ min: 0, max: 512, noNaN: true }), memory_mib: count, storage_gib: count }),
    held: fc.array(
      fc.record({
        execution_id: id,
        state: fc.constantFrom('waiting' as const, 'running' as const, 'ended' as const),
        reported: count,
      }),
    ),
  }),
  fc.record(
    {
      type: fc.constant('capacity' as const),
      accepting: fc.boolean(),
      reason: fc.constantFrom('stopping' as const, 'disk_full' as const),
    },
    { requiredKeys: ['type', 'accepting'] },
  ),
  fc.record({ type: fc.constant('stdin_ack' as const), execution_id: id, offset: count, closed: fc.boolean() }),
  fc.record(
    {
      type: fc.constant('usage' as const),
      execution_id: id,
      usage: fc.record(
        {
          cpu_user_ms: count,
          cpu_system_ms: count,
          max_memory_bytes: count,
          io_read_bytes: count,
          io_write_bytes: count,
        },
        { requiredKeys: ['cpu_user_ms', 'cpu_system_ms', 'max_memory_bytes'] },
      ),
    },
    { requiredKeys: ['type', 'execution_id'] },
  ),
);

/** Strings that execve(2) accepts. */
const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'));
const envName = fc.string({ minLength: 1 }).filter((name) => !/[=\0]/.test(name));

const serverFrames: fc.Arbitrary<ServerFrame> = fc.oneof(
  fc.record({
    type: fc.constant('welcome' as const),
    protocol: fc.integer({ min: 1, max: 9 }),
    version: fc.string({ maxLength: 64 }),
    heartbeat_ms: fc.integer({ min: 100, max: 3_600_000 }),
    window_bytes: fc.integer({ min: 1 }),
    execution_window_bytes: fc.integer({ min: 1 }),
    acks: fc.array(ack),
    forget: fc.array(id),
  }),
  fc.record(
    {
      type: fc.constant('start' as const),
      execution_id: id,
      runner_instance: fc.string({ minLength: 1, maxLength: 64 }),
      dispatch_number: fc.integer({ min: 1 }),
      command: fc.array(text, { minLength: 1 }),
      env: fc.dictionary(envName, text),
      cwd: text,
      user: text,
      timeout_ms: fc.double({ min: 1, max: 1e12, noNaN: true }),
      max_output_bytes: count,
      tail_bytes: count,
      stdin: fc.constantFrom('none' as const, 'fixed' as const, 'open' as const),
      grace_ms: count,
    },
    {
      requiredKeys: [
        'type',
        'execution_id',
        'runner_instance',
        'dispatch_number',
        'command',
        'max_output_bytes',
        'stdin',
        'grace_ms',
      ],
    },
  ),
  fc.record({ type: fc.constant('cancel' as const), execution_id: id, grace_ms: count }),
  fc.record({ type: fc.constant('signal' as const), execution_id: id, signal: fc.string({ maxLength: 16 }) }),
  fc.record({ type: fc.constant('stdin' as const), execution_id: id, offset: count, close: fc.boolean() }),
  fc.record({ type: fc.constant('ack' as const), acks: fc.array(ack) }),
  fc.record({ type: fc.constant('usage_query' as const), execution_id: id }),
  fc.record({ type: fc.constant('forget' as const), execution_ids: fc.array(id) }),
);

/** The value after JSON: -0 becomes 0, and prototypes are lost. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('round trips', () => {
  test('keep every frame of an agent', () => {
    fc.assert(
      fc.property(agentFrames, (frame) => {
        const parsed = parseAgentFrame(encodeFrame(frame));
        if (!parsed.ok) return expect.fail(parsed.reason);
        expect(plain(parsed.frame)).toEqual(plain(frame));
      }),
    );
  });

  test('keep every frame of the server, alone and with bytes attached', () => {
    fc.assert(
      fc.property(serverFrames, fc.uint8Array({ maxLength: 500 }), (frame, bytes) => {
        const attachment = Buffer.from(bytes);
        for (const [message, attached] of [
          [encodeFrame(frame), Buffer.alloc(0)],
          [encodeFrameWith(frame, attachment), attachment],
        ] as const) {
          const parsed = parseServerFrame(message);
          if (!parsed.ok) return expect.fail(parsed.reason);
          expect(plain(parsed.frame)).toEqual(plain(frame));
          expect(parsed.attachment.equals(attached)).toBe(true);
        }
      }),
    );
  });
});

describe('a malformed frame is refused with a reason', () => {
  test.each([
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ['null', 'no type'],
    ['[]', 'no type'],
    ['{"type":7}', 'no type'],
    ['{"type":"nonsense"}', 'unknown type nonsense'],
    ['{"type":"constructor"}', 'unknown type constructor'],
    ['{"type":"capacity"}', 'malformed capacity'],
    ['{"type":"stdin_ack","execution_id":"../x","offset":0,"closed":false}', 'malformed stdin_ack'],
    ['{"type":"stdin_ack","execution_id":"x","offset":-1,"closed":false}', 'malformed stdin_ack'],
  ])('%s', (text, reason) => {
    expect(parseAgentFrame(text)).toEqual({ ok: false, reason });
  });

  test('the frames of one side are refused by the same side', () => {
    fc.assert(
      fc.property(agentFrames, serverFrames, (fromAgent, fromServer) => {
        expect(parseServerFrame(encodeFrame(fromAgent)).ok).toBe(false);
        expect(parseAgentFrame(encodeFrame(fromServer)).ok).toBe(false);
      }),
    );
  });

  test('parsing arbitrary input never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 64 }), (text, bytes) => {
        parseAgentFrame(text);
        parseServerFrame(text);
        parseServerFrame(Buffer.from(bytes));
      }),
    );
  });

  test('a length beyond the end of its message is refused', () => {
    const message = encodeFrameWith({ type: 'ack', acks: [] }, Buffer.from('x'));
    message.writeUInt32LE(message.length, 0);
    expect(parseServerFrame(message)).toEqual({ ok: false, reason: 'a frame longer than its message' });
  });
});

test('unknown fields are accepted', () => {
  expect(parseAgentFrame('{"type":"capacity","accepting":true,"mood":"good"}').ok).toBe(true);
});

test('a hello with NUL in a text is refused: no database could store it', () => {
  const host = { hostname: 'h', os: 'linux', arch: 'x64' };
  const hello = { ...HELLO, host, labels: { role: 'web' }, features: ['usage'] };
  const parse = (frame: object) => parseAgentFrame(JSON.stringify(frame));
  expect(parse(hello)).toMatchObject({ ok: true });
  for (const field of ['version', 'runner_instance', 'boot_id']) {
    expect(parse({ ...hello, [field]: 'a\0' }), field).toEqual({ ok: false, reason: 'malformed hello' });
  }
  for (const wrong of [{ host: { ...host, os: '\0' } }, { labels: { role: '\0' } }, { features: ['\0'] }]) {
    expect(parse({ ...hello, ...wrong })).toMatchObject({ ok: false });
  }
});
