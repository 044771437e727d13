/** The input of one client, for a terminal that takes it slowly, or whose agent is offline. */
import { expect, test, vi } from 'vitest';
import type { StdinWriter } from '../../../../src/core/protocol.ts';
import type { StdinOutcome } from '../../../../src/server/control/commands/stdin.ts';
import { TerminalInput } from '../../../../src/server/control/terminals/terminal-input.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

const EXECUTION = storedExecution({ status: 'running', isTerminal: true });
const PIECE = Buffer.alloc(64 * 1024, 'x');

/** An input whose agent takes each piece, and each size, only when `take` is called. */
function slowTerminal() {
  const taken: (number | string)[] = [];
  const waiting: (() => void)[] = [];
  const full: boolean[] = [];
  let droppedCount = 0;
  const later = <T>(outcome: T): Promise<T> => new Promise((resolve) => waiting.push(() => resolve(outcome)));
  const input = new TerminalInput({
    control: {
      writeStdin: async ({ bytes }) => {
        taken.push(bytes.length);
        return later({ outcome: 'written' as const, offset: 0, closed: false });
      },
      resize: async ({ size }) => {
        taken.push(`${size.width}x${size.height}`);
        return later('sent' as const);
      },
    },
    execution: EXECUTION,
    dropped: () => {
      droppedCount += 1;
    },
    failed: (cause) => expect.unreachable(String(cause)),
    full: (isFull) => full.push(isFull),
  });
  const take = async (): Promise<void> => {
    await vi.waitFor(() => expect(waiting.length).toBeGreaterThan(0));
    waiting.shift()?.();
  };
  return { input, taken, full, take, dropped: () => droppedCount };
}

const WRITER = { id: 'writer-0123456789', offset: 7 };

/** An input whose writes have these outcomes. `writer`: how its client numbers it. */
function answered(outcomes: StdinOutcome[], writer?: StdinWriter) {
  const writes: [text: string, at: { writer?: StdinWriter; offset?: number }][] = [];
  const accepted: [offset: number, numbered: boolean][] = [];
  const dropped = vi.fn();
  const input = new TerminalInput({
    writer,
    accepted: (...told) => accepted.push(told),
    control: {
      writeStdin: async ({ bytes, writer: numbering, offset }) => {
        const at = { ...(numbering && { writer: numbering }), ...(offset !== undefined && { offset }) };
        writes.push([bytes.toString(), at]);
        return outcomes[writes.length - 1] ?? expect.unreachable('too many writes');
      },
      resize: async () => 'sent',
    },
    execution: EXECUTION,
    dropped,
    failed: (cause) => expect.unreachable(String(cause)),
    full: () => {},
  });
  return { input, writes, accepted, dropped };
}

test('a client that is faster than its terminal is not read until most of its input was taken, and loses nothing', async () => {
  const { input, taken, full, take, dropped } = slowTerminal();
  for (let piece = 0; piece < 17; piece += 1) input.write(PIECE);
  expect(full).toEqual([true]);
  await take();
  await take();
  await vi.waitFor(() => expect(full).toEqual([true, false]));
  expect(taken).toEqual([PIECE.length, 16 * PIECE.length]);
  expect(dropped()).toBe(0);
});

test('many tiny messages count with the memory that they use', () => {
  const { input, full } = slowTerminal();
  for (let key = 0; key < 10_000; key += 1) input.write(Buffer.from('k'));
  expect(full).toEqual([true]);
});

test('input that follows a resize waits for it, whatever its size', async () => {
  const { input, taken, take, dropped } = slowTerminal();
  input.write(Buffer.from('a'));
  input.resize({ width: 100, height: 30 });
  input.resize({ width: 101, height: 31 });
  await take();
  await vi.waitFor(() => expect(taken).toEqual([1, '101x31']));
  input.write(PIECE);
  input.write(PIECE);
  await take();
  await vi.waitFor(() => expect(taken).toEqual([1, '101x31', 2 * PIECE.length]));
  expect(dropped()).toBe(0);
});

test('input that may have arrived is sent again at its offset; if that is not known, it is dropped, and the client is told', async () => {
  const { input, writes, dropped } = answered([
    { outcome: 'unknown' },
    { outcome: 'written', offset: 2, closed: false },
    { outcome: 'unknown' },
    { outcome: 'agent_away' },
    { outcome: 'written', offset: 3, closed: false },
    { outcome: 'written', offset: 4, closed: false },
  ]);
  input.write(Buffer.from('a'));
  await vi.waitFor(() => expect(dropped).toHaveBeenCalledOnce());
  for (const [key, count] of [
    ['b', 2],
    ['c', 5],
    ['d', 6],
  ] as const) {
    input.write(Buffer.from(key));
    await vi.waitFor(() => expect(writes).toHaveLength(count));
  }
  expect(writes.map(([text, { offset }]) => [text, offset])).toEqual([
    ['a', undefined],
    ['b', undefined],
    ['c', undefined],
    ['c', 2],
    ['c', 2],
    ['d', undefined],
  ]);
  expect(dropped).toHaveBeenCalledOnce();
});

test('input that a client numbers is sent again at its own offset until it is written, and then acknowledged', async () => {
  const { input, writes, accepted, dropped } = answered(
    [
      { outcome: 'unknown' },
      { outcome: 'agent_away' },
      { outcome: 'written', offset: 90, closed: false },
      { outcome: 'written', offset: 95, closed: false },
    ],
    WRITER,
  );
  input.write(Buffer.from('ab'));
  await vi.waitFor(() => expect(writes).toHaveLength(3));
  input.write(Buffer.from('c'));
  await vi.waitFor(() => expect(accepted).toHaveLength(2));
  const id = WRITER.id;
  expect(writes).toEqual([
    ['ab', { writer: { id, offset: 7 } }],
    ['ab', { writer: { id, offset: 7 } }],
    ['ab', { writer: { id, offset: 7 } }],
    ['c', { writer: { id, offset: 9 } }],
  ]);
  expect(accepted).toEqual([
    [9, true],
    [10, true],
  ]);
  expect(dropped).not.toHaveBeenCalled();
});

test('a client whose agent has an earlier version is told that its input is not numbered, and it is written without numbers', async () => {
  const { input, writes, accepted } = answered(
    [
      { outcome: 'no_writers' },
      { outcome: 'written', offset: 2, closed: false },
      { outcome: 'written', offset: 3, closed: false },
    ],
    WRITER,
  );
  input.write(Buffer.from('ab'));
  await vi.waitFor(() => expect(writes).toHaveLength(2));
  input.write(Buffer.from('c'));
  await vi.waitFor(() => expect(writes).toHaveLength(3));
  expect(writes).toEqual([
    ['ab', { writer: WRITER }],
    ['ab', {}],
    ['c', {}],
  ]);
  expect(accepted).toEqual([[7, false]]);
});

test('input that follows a gap, because earlier input went to the terminal without numbers, is written without numbers too', async () => {
  const { input, writes, accepted, dropped } = answered(
    [{ outcome: 'bad_offset' }, { outcome: 'written', offset: 2, closed: false }],
    WRITER,
  );
  input.write(Buffer.from('ab'));
  await vi.waitFor(() => expect(writes).toHaveLength(2));
  expect(writes[1]).toEqual(['ab', {}]);
  expect(accepted).toEqual([[7, false]]);
  expect(dropped).not.toHaveBeenCalled();
});

test('input that may have arrived is not sent again to a server that knows no numbers: it is dropped, and the client is told', async () => {
  const { input, writes, accepted, dropped } = answered(
    [{ outcome: 'unknown' }, { outcome: 'no_writers' }, { outcome: 'written', offset: 5, closed: false }],
    WRITER,
  );
  input.write(Buffer.from('ab'));
  await vi.waitFor(() => expect(dropped).toHaveBeenCalledOnce());
  input.write(Buffer.from('c'));
  await vi.waitFor(() => expect(writes).toHaveLength(3));
  expect(writes[2]).toEqual(['c', {}]);
  expect(accepted).toEqual([[7, false]]);
});

test('what a client sent before it disconnected is still written, and nothing after it', async () => {
  const { input, taken, take } = slowTerminal();
  input.write(Buffer.from('a'));
  input.write(Buffer.from('bc'));
  input.finish();
  input.write(Buffer.from('def'));
  await take();
  await take();
  await vi.waitFor(() => expect(taken).toEqual([1, 2]));
});

test('nothing more is written once the key of the client is not valid any more', async () => {
  const { input, taken, take } = slowTerminal();
  input.write(Buffer.from('a'));
  input.write(Buffer.from('bc'));
  input.abort();
  await take();
  await new Promise(setImmediate);
  expect(taken).toEqual([1]);
});
