/** The output of an execution as a stream, also if the connection is silent for a long time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Execplane } from '../../src/client/main.ts';
import { Transport } from '../../src/client/http/transport.ts';
import { outputStream } from '../../src/client/output-stream.ts';
import { answeredExecution } from './answers.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const HOUR_MS = 3_600_000;

/** A command that is silent until `speakAtMs`, then writes a line and ends. */
function silentUntil(speakAtMs: number): { fetch: typeof fetch; offsets: (string | null)[] } {
  const offsets: (string | null)[] = [];
  const answer = (url: URL): Response => {
    if (!url.pathname.endsWith('/output/stdout')) {
      return Response.json({ ...answeredExecution('ex-1'), stdout_bytes: 5 });
    }
    offsets.push(url.searchParams.get('offset'));
    let timer: ReturnType<typeof setTimeout>;
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      const speak = (): void => {
        controller.enqueue(new TextEncoder().encode('line\n'));
        controller.close();
      };
      timer = setTimeout(speak, speakAtMs - performance.now());
    };
    return new Response(new ReadableStream({ start, cancel: () => clearTimeout(timer) }));
  };
  return { offsets, fetch: async (input) => answer(new URL(String(input))) };
}

test('an hour of silence is not an outage: the connection is opened again, and the next line arrives', async () => {
  const silent = silentUntil(performance.now() + HOUR_MS);
  const client = new Execplane({ url: 'http://execplane.test', fetch: silent.fetch });
  const read = Array.fromAsync(client.machine('dm-test').execution('ex-1').stdout);
  await vi.advanceTimersByTimeAsync(HOUR_MS + 120_000);
  expect(Buffer.concat(await read).toString()).toBe('line\n');
  expect(silent.offsets.length).toBeGreaterThan(50);
  expect(new Set(silent.offsets)).toEqual(new Set(['0']));
});

test('a server that is unreachable for longer than 5 minutes is an outage', async () => {
  const fetch = () => Promise.reject(new TypeError('fetch failed', { cause: new Error('connection refused') }));
  const client = new Execplane({ url: 'http://execplane.test', fetch });
  const read = Array.fromAsync(client.machine('dm-test').execution('ex-1').stdout);
  const failed = expect(read).rejects.toThrow('http://execplane.test cannot be reached: connection refused');
  await vi.advanceTimersByTimeAsync(320_000);
  await failed;
});

test('a release that fails is repeated although no more output comes: the command waits for it', async () => {
  const RELEASED_AT_BYTES = 5_000_000;
  let [attempts, released] = [0, 0];
  let output: ReadableStreamDefaultController<Uint8Array> | undefined;
  const answer = (url: URL, method: string): Response => {
    if (!url.pathname.endsWith('/output/stdout')) {
      return Response.json({
        ...answeredExecution('ex-1'),
        output_mode: 'stream',
        stdout_bytes: RELEASED_AT_BYTES + 1,
      });
    }
    if (method !== 'HEAD') {
      const pieces = [new Uint8Array(RELEASED_AT_BYTES), new Uint8Array(1)];
      return new Response(
        new ReadableStream<Uint8Array>({
          start: (controller) => {
            output = controller;
            for (const piece of pieces) controller.enqueue(piece);
          },
        }),
      );
    }
    attempts += 1;
    if (attempts <= 10) return new Response(null, { status: 503 });
    released = Number(url.searchParams.get('offset'));
    output?.close();
    return new Response(null);
  };
  const transport = new Transport({
    url: 'http://execplane.test',
    fetch: async (input, init) => answer(new URL(String(input)), init?.method ?? 'GET'),
  });
  const path = '/v1/machines/dm-test/executions/ex-1';
  const read = Array.fromAsync(outputStream(transport, { path, stream: 'stdout', releases: true }));
  await vi.advanceTimersByTimeAsync(300_000);
  expect(Buffer.concat(await read)).toHaveLength(RELEASED_AT_BYTES + 1);
  expect(released).toBe(RELEASED_AT_BYTES);
});
