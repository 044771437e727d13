import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readChunks } from '../../../src/client/http/read-chunks.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a body that is silent for too long breaks off; the time that the caller takes for a piece does not count', async () => {
  let send: (bytes: Uint8Array) => void = () => {};
  const cancelled = vi.fn();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      send = (bytes) => controller.enqueue(bytes);
    },
    cancel: cancelled,
  });
  const pieces = readChunks(new Response(body), { origin: 'http://execplane.test', silenceMs: 1000 });
  const first = pieces.next();
  await vi.advanceTimersByTimeAsync(999);
  send(new Uint8Array([1]));
  expect((await first).value).toEqual(new Uint8Array([1]));
  await vi.advanceTimersByTimeAsync(5000);
  const second = pieces.next();
  await vi.advanceTimersByTimeAsync(999);
  send(new Uint8Array([2]));
  expect((await second).value).toEqual(new Uint8Array([2]));
  const third = expect(pieces.next()).rejects.toThrow('no data came for 1000 ms');
  await vi.advanceTimersByTimeAsync(1000);
  await third;
  expect(cancelled).toHaveBeenCalledOnce();
  expect(vi.getTimerCount()).toBe(0);
});
