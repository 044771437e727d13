/** The time at which output of a terminal is emitted: an echo at once, a flood in large chunks. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Output } from '../../../../src/agent/runner/executions/output.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function outputOf(isTerminal: boolean) {
  const chunks: string[] = [];
  const caps = { capBytes: 1 << 20, tailBytes: 0 };
  const output = new Output({ ...caps, isTerminal }, (_stream, chunk) => chunks.push(chunk.toString()));
  const print = (text: string): void => output.push('stdout', Buffer.from(text));
  return { output, chunks, print };
}

test('echoes of a terminal are emitted one by one, however fast the keys are', () => {
  const { output, chunks, print } = outputOf(true);
  for (const key of 'keys') print(key);
  expect(chunks).toEqual(['k', 'e', 'y', 's']);
  output.finish();
});

test('small writes after the first are joined without a terminal', () => {
  const { output, chunks, print } = outputOf(false);
  for (const key of 'keys') print(key);
  expect(chunks).toEqual(['k']);
  vi.advanceTimersByTime(10);
  expect(chunks).toEqual(['k', 'eys']);
  output.finish();
});

test('small writes of a terminal that prints more than a screen at once are joined until it pauses', () => {
  const { output, chunks, print } = outputOf(true);
  const line = 'x'.repeat(500);
  for (let count = 0; count < 20; count += 1) print(line);
  expect(chunks).toEqual([line, line, line, line]);
  vi.advanceTimersByTime(10);
  expect(chunks.at(-1)).toBe(line.repeat(16));
  print('k');
  print('l');
  expect(chunks.slice(-2)).toEqual(['k', 'l']);
  output.finish();
});
