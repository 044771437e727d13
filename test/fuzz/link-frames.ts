/** Generates valid and invalid messages of an agent: frames and records with few errors. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { encodeRecord, MAX_CHUNK_BYTES, REPORT_KIND } from '../../src/core/report.ts';
import { HELLO } from '../helpers/scripted-agent.ts';
import { mutated } from './mutations.ts';

export type Message = { text: string } | { bytes: Buffer };

/** The executions in the agent's messages. */
export interface Known {
  /** Executions that were dispatched to the agent. */
  own: readonly string[];
  /** Executions of other machines. */
  others: readonly string[];
}

const mostly = <T>(right: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() });

const count = fc.oneof(fc.nat({ max: 100 }), fc.constantFrom(0, 2 ** 53 - 1, 2 ** 53, -1, 1.5, 1e308));

function executionId({ own, others }: Known): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...own) },
    { weight: 1, arbitrary: fc.constantFrom(...others, 'unknown', '-', '', '../x', 'x'.repeat(253), 'x'.repeat(254)) },
  );
}

/** Generates a hello. */
export function hellos(known: Known): fc.Arbitrary<string> {
  const held = fc.record({
    execution_id: mostly(executionId(known)),
    state: mostly(fc.constantFrom('waiting', 'running', 'ended', 'gone')),
    reported: mostly(count),
  });
  return fc
    .record({
      type: fc.constant('hello'),
      protocol: mostly(fc.constantFrom({ min: 1, max: 1 }, { min: 1, max: 9 }, { min: 2, max: 9 }, { min: 9, max: 1 })),
      version: mostly(fc.string({ maxLength: 70 })),
      runner_instance: mostly(fc.constantFrom(HELLO.runner_instance, 'runner-2', '', 'r'.repeat(65))),
      boot_id: mostly(fc.string({ maxLength: 70 })),
      last_dispatch_number: mostly(count),
      clock_ms: mostly(fc.oneof(fc.constant(Date.UTC(2026, 0)), fc.double({ noNaN: true }))),
      max_concurrency: mostly(fc.constantFrom(1, 64, 2 ** 53 - 1, 0)),
      facts: mostly(fc.record({ vcpu: count, memory_mib: count, storage_gib: count })),
      held: mostly(fc.array(held, { maxLength: 4 })),
    })
    .map((hello) => JSON.stringify(hello));
}

function controls(known: Known): fc.Arbitrary<string> {
  const capacity = fc.record({
    type: fc.constant('capacity'),
    accepting: mostly(fc.boolean()),
    reason: mostly(fc.constantFrom('stopping', 'disk_full', 'bored')),
  });
  const stdinAck = fc.record({
    type: fc.constant('stdin_ack'),
    execution_id: mostly(executionId(known)),
    offset: mostly(count),
    closed: mostly(fc.boolean()),
  });
  const usage = fc.record({
    type: fc.constant('usage'),
    execution_id: mostly(executionId(known)),
    usage: mostly(fc.record({ cpu_user_ms: count, cpu_system_ms: count, max_memory_bytes: mostly(count) })),
  });
  const wrong = fc.record({ type: fc.oneof(fc.constantFrom('welcome', 'start', '__proto__', 'hello'), fc.string()) });
  return fc.oneof(
    { weight: 8, arbitrary: fc.oneof(capacity, stdinAck, usage).map((frame) => JSON.stringify(frame)) },
    { weight: 1, arbitrary: fc.oneof(wrong, fc.jsonValue()).map((value) => JSON.stringify(value)) },
    { weight: 1, arbitrary: fc.string() },
  );
}

const ending = fc.record(
  {
    status: mostly(fc.constantFrom('succeeded', 'failed', 'cancelled', 'running')),
    exit_code: mostly(fc.integer({ min: -300, max: 300 })),
    signal: mostly(count),
    error_code: mostly(fc.constantFrom('nonzero_exit', 'agent_lost', 'no_such_code')),
    error_message: mostly(fc.string({ unit: 'binary', maxLength: 30 })),
    stdout_bytes: mostly(count),
    stderr_bytes: mostly(count),
    stdout_truncated: mostly(fc.boolean()),
    stderr_truncated: mostly(fc.boolean()),
  },
  { requiredKeys: ['status'] },
);

const payload = fc.oneof(
  { weight: 3, arbitrary: ending.map((end) => Buffer.from(JSON.stringify(end))) },
  {
    weight: 2,
    arbitrary: mostly(fc.record({ pid: mostly(count) })).map((value) => Buffer.from(JSON.stringify(value))),
  },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.constantFrom(Buffer.alloc(MAX_CHUNK_BYTES, 'x'), Buffer.from('{'), Buffer.from('null')) },
);

function record(known: Known): fc.Arbitrary<Buffer> {
  const kind = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...Object.values(REPORT_KIND)) },
    { weight: 1, arbitrary: fc.constantFrom(0, 6, 63, 64, 255) },
  );
  const at = fc.oneof(fc.constant(Date.UTC(2026, 0)), fc.constantFrom(0, -1, Number.NaN, 1e300, -Infinity, 8.65e15));
  const number = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(1, 1, 1, 2, 3) },
    { weight: 1, arbitrary: fc.constantFrom(0, 2 ** 32 - 1) },
  );
  const id = executionId(known).filter((text) => text.length >= 1 && text.length <= 253);
  return fc.record({ kind, executionId: id, number, at, payload }).map(encodeRecord);
}

/** Corrects length and checksum, so that the server reads the changed content. */
function repaired(bytes: Buffer): Buffer {
  if (bytes.length < 9) return bytes;
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(copy.length - 8, 0);
  copy.writeUInt32LE(crc32(copy.subarray(8)), 4);
  return copy;
}

/** Generates a message for after the welcome. */
export function messages(known: Known): fc.Arbitrary<Message> {
  const one = record(known);
  const some = fc.array(one, { minLength: 1, maxLength: 4 }).map((records) => Buffer.concat(records));
  const text = fc.oneof(
    { weight: 4, arbitrary: controls(known) },
    { weight: 1, arbitrary: mutated(controls(known).map((frame) => Buffer.from(frame))).map((bytes) => `${bytes}`) },
  );
  const binary = fc.oneof(
    { weight: 5, arbitrary: some },
    { weight: 1, arbitrary: mutated(some) },
    { weight: 2, arbitrary: mutated(one).map(repaired) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
  );
  return fc.oneof(
    { weight: 1, arbitrary: text.map((one) => ({ text: one })) },
    { weight: 3, arbitrary: binary.map((bytes) => ({ bytes })) },
  );
}
