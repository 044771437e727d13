/** The output of an execution as a stream, also if the connection is silent for a long time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Execplane } from '../../src/client/main.ts';
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
