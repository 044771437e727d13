/** Released output over lost requests, answers and limits: whatever is lost, the stream goes on by itself. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Transport } from '../../../src/client/http/transport.ts';
import { mergedOutput } from '../../../src/client/merged-output.ts';
import { outputStream } from '../../../src/client/output-stream.ts';
import { answeredExecution } from '../answers.ts';
import { type ModelOptions, ModelledStream, type ReleaseFate } from './modelled-stream.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const KIB = 1024;
const MIB = 1024 * KIB;
const PATH = '/v1/machines/dm-test/executions/ex-1';
/** Far above the delays that any combination of faults here can cause. */
const STALLED_MS = 1_800_000;

/** Reads the whole output. Returns the time that it took, in ms of the fake clock. Throws if the stream stalls, or skips or repeats a byte. */
async function read(options: ModelOptions): Promise<{ model: ModelledStream; ms: number }> {
  const model = new ModelledStream(options);
  const transport = new Transport({ url: 'http://execplane.test', fetch: model.fetch });
  const output = outputStream(transport, { path: PATH, stream: 'stdout', releases: true });
  let received = 0;
  let over = false;
  const reading = (async () => {
    for await (const bytes of output) received += bytes.length;
  })().finally(() => {
    over = true;
  });
  const began = performance.now();
  while (!over && performance.now() - began < STALLED_MS) await vi.advanceTimersByTimeAsync(250);
  if (!over) throw new Error(`the stream stalls after ${received} of ${options.totalBytes} bytes`);
  await reading;
  expect(received).toBe(options.totalBytes);
  return { model, ms: performance.now() - began };
}

describe('a server that keeps few unread bytes', () => {
  test.each([64 * KIB, 256 * KIB, 3 * MIB])(
    '%s: is told in time, so that the command does not wait',
    async (bufferBytes) => {
      const { ms } = await read({ bufferBytes, totalBytes: 10 * bufferBytes, pieceBytes: 16 * KIB });
      expect(ms).toBeLessThanOrEqual(250);
    },
  );

  test('and does not state how many: is told after a moment without output', async () => {
    const silent = { bufferBytes: 64 * KIB, totalBytes: 640 * KIB, pieceBytes: 16 * KIB, statesBuffer: false };
    const { ms } = await read(silent);
    expect(ms).toBeLessThan(10_000);
  });
});

describe('a release', () => {
  const LARGE = { bufferBytes: 16 * MIB, totalBytes: 64 * MIB, pieceBytes: MIB };

  test('of little output is not sent', async () => {
    const { model } = await read({ bufferBytes: 16 * MIB, totalBytes: 30 * KIB, pieceBytes: KIB });
    expect(model.releases).toEqual([]);
  });

  test('is sent each 4 MiB of a large buffer', async () => {
    const { model } = await read(LARGE);
    expect(model.releases.length).toBeLessThanOrEqual(LARGE.totalBytes / (4 * MIB));
  });

  test('whose effect was lost with a killed server is sent again when the stream is open again', async () => {
    // The client has all bytes up to the limit of the agent, and knows that they were released. Only the killed server knew it too.
    const small = { bufferBytes: 64 * KIB, totalBytes: 640 * KIB, pieceBytes: 96 * KIB };
    const { model, ms } = await read({ ...small, fates: ['server_killed'] });
    expect(model.followedAt.length).toBeGreaterThan(1);
    expect(ms).toBeLessThan(5000);
  });

  test('whose limit was lost on the way to the agent is sent again after some seconds without output', async () => {
    const small = { bufferBytes: 64 * KIB, totalBytes: 640 * KIB, pieceBytes: 96 * KIB };
    const { model, ms } = await read({ ...small, fates: ['limit_lost'] });
    expect(model.followedAt).toEqual([0]);
    expect(ms).toBeLessThan(10_000);
  });

  test('that fails is repeated although no more output comes: the command waits for it', async () => {
    const { model, ms } = await read({
      ...LARGE,
      pieceBytes: 16 * MIB,
      fates: Array.from({ length: 12 }, () => 'request_lost'),
    });
    expect(model.releases.length).toBeGreaterThan(12);
    expect(ms).toBeLessThan(60_000);
  });

  test('that is not answered is sent again', async () => {
    const { ms } = await read({ ...LARGE, fates: ['hangs', 'hangs'] });
    expect(ms).toBeLessThan(60_000);
  });
});

const FATES: readonly ReleaseFate[] = [
  'arrives',
  'request_lost',
  'answer_lost',
  'hangs',
  'limit_lost',
  'link_killed',
  'server_killed',
];

test('no combination of faults stalls a stream, or makes it skip or repeat a byte', async () => {
  const scenarios = fc.record({
    bufferBytes: fc.constantFrom(64 * KIB, 256 * KIB, MIB, 16 * MIB),
    piecesOfBuffer: fc.constantFrom(1, 3, 16),
    buffers: fc.integer({ min: 1, max: 8 }),
    fates: fc.array(fc.constantFrom(...FATES), { maxLength: 12 }),
    kills: fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 4 }),
    restartMs: fc.constantFrom(1, 300, 5000),
    statesBuffer: fc.boolean(),
  });
  const property = fc.asyncProperty(scenarios, async ({ piecesOfBuffer, buffers, kills, ...scenario }) => {
    const totalBytes = scenario.bufferBytes * buffers;
    const pieceBytes = Math.ceil(scenario.bufferBytes / piecesOfBuffer);
    const killsAt = kills.map((percent) => Math.ceil((totalBytes * percent) / 100)).sort((a, b) => a - b);
    await read({ ...scenario, totalBytes, pieceBytes, kills: killsAt });
  });
  await fc.assert(property, { numRuns: 60 });
}, 60_000);

test('both streams in one are released each', async () => {
  const frame = (stream: number, bytes: number): Uint8Array => {
    const whole = new Uint8Array(8 + bytes);
    whole[0] = stream;
    new DataView(whole.buffer).setUint32(4, bytes);
    return whole;
  };
  const released = { stdout: 0, stderr: 0 };
  let close = (): void => {};
  const answer = (url: URL, method = 'GET'): Response => {
    if (method === 'HEAD') {
      const stream = url.pathname.endsWith('stdout') ? 'stdout' : 'stderr';
      released[stream] = Number(url.searchParams.get('offset'));
      if (released.stdout === 5 * MIB && released.stderr === 5 * MIB) close();
      return new Response(null);
    }
    if (!url.pathname.endsWith('/output/merged'))
      return Response.json({ ...answeredExecution('ex-1'), stdout_bytes: 5 * MIB, stderr_bytes: 5 * MIB });
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      for (const stream of [1, 2]) controller.enqueue(frame(stream, 5 * MIB));
      close = () => controller.close();
    };
    return new Response(new ReadableStream({ start }));
  };
  const fetch: typeof globalThis.fetch = async (input, init) => answer(new URL(String(input)), init?.method);
  const transport = new Transport({ url: 'http://execplane.test', fetch });
  const { signal } = new AbortController();
  const reading = Array.fromAsync(mergedOutput(transport, { path: PATH, releases: true, signal }));
  await vi.advanceTimersByTimeAsync(1000);
  const bytes = { stdout: 0, stderr: 0 };
  for (const piece of await reading) bytes[piece.stream] += piece.bytes.length;
  expect(bytes).toEqual({ stdout: 5 * MIB, stderr: 5 * MIB });
});
