/** The input of a terminal over connections that break, with a server and an agent that are scripted. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Execplane } from '../../../src/client/main.ts';

/** A WebSocket that records what is sent, and receives what the test gives. */
class FakeSocket {
  readonly query: URLSearchParams;
  readyState = 0;
  bufferedAmount = 0;
  onopen: () => void = () => {};
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (event: { code: number; reason: string }) => void = () => {};
  /** Input, sizes, and the types of other messages. */
  readonly sent: string[] = [];

  constructor(url: string) {
    this.query = new URL(url).searchParams;
  }

  open(numbered: boolean): void {
    this.readyState = 1;
    this.onopen();
    this.receive({ type: 'offset', offset: Number(this.query.get('offset') ?? 0), acks: true, numbered });
  }

  receive(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  send(data: string | Uint8Array): void {
    if (typeof data !== 'string') this.sent.push(Buffer.from(data).toString());
    else {
      const { type, width, height } = JSON.parse(data) as { type: string; width?: number; height?: number };
      this.sent.push(type === 'resize' ? `${width}x${height}` : type);
    }
  }

  close(): void {
    this.readyState = 3;
  }

  break(code: number): void {
    this.readyState = 3;
    this.onclose({ code, reason: '' });
  }
}

const sockets: FakeSocket[] = [];
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  sockets.splice(0);
});

function attach() {
  const client = new Execplane({
    url: 'http://127.0.0.1:1',
    fetch: async () => Response.json({ stream_url: 'ws://127.0.0.1:1/stream?ticket=t', expires_at: '' }),
    webSocket: (url) => {
      sockets.push(new FakeSocket(url));
      return sockets.at(-1) as unknown as WebSocket;
    },
  });
  const away = vi.fn();
  const back = vi.fn();
  return {
    stream: client.machine('dm-one').terminal('term-1').attach({ offset: 0, listener: { away, back } }),
    away,
    back,
  };
}

/** The connection with this number, counted from 0, once it is made. */
async function connection(index: number): Promise<FakeSocket> {
  for (let turns = 0; turns < 200; turns += 1) {
    const socket = sockets[index];
    if (socket !== undefined) return socket;
    await vi.advanceTimersByTimeAsync(50);
  }
  return expect.unreachable(`no connection ${index}`);
}

test('input that was not acknowledged is sent again on the next connection, at its offset', async () => {
  const { stream } = attach();
  stream.write('a');
  const first = await connection(0);
  expect(first.query.get('input_offset')).toBe('0');
  first.open(true);
  stream.write('bc');
  stream.write('d');
  first.receive({ type: 'input_ack', offset: 3, numbered: true });
  first.break(1006);
  stream.write('e');
  const second = await connection(1);
  expect(second.query.get('input_offset')).toBe('3');
  expect(second.query.get('writer')).toBe(first.query.get('writer'));
  second.open(true);
  expect(first.sent).toEqual(['a', 'bc', 'd']);
  expect(second.sent).toEqual(['d', 'e']);
  stream.detach();
});

test('a server or an agent of an earlier version gets no input twice', async () => {
  const { stream } = attach();
  const first = await connection(0);
  first.open(true);
  stream.write('a');
  first.receive({ type: 'input_ack', offset: 0, numbered: false });
  stream.write('b');
  first.break(1006);
  stream.write('c');
  const second = await connection(1);
  second.open(true);
  stream.write('d');
  second.break(1012);
  stream.write('e');
  const third = await connection(2);
  third.open(false);
  expect(first.sent).toEqual(['a', 'b']);
  // A numbering with a gap could not go on.
  const writers = [first, second, third].map(({ query }) => query.get('writer'));
  expect(new Set(writers).size).toBe(2);
  expect(second.query.get('input_offset')).toBe('1');
  expect(second.sent).toEqual(['c', 'd']);
  expect(third.sent).toEqual(['e']);
  expect(stream.unsentBytes).toBe(0);
  stream.detach();
});

test('a connection that answers nothing while input waits for its acknowledgement is given up after 6 s, and an idle one after 20 s', async () => {
  const { stream, away, back } = attach();
  const first = await connection(0);
  first.open(true);
  await vi.advanceTimersByTimeAsync(13_000);
  expect(first.sent).toEqual([]);
  stream.write('x');
  await vi.advanceTimersByTimeAsync(6500);
  expect(first.sent).toEqual(['x', 'ping', 'ping', 'ping']);
  expect(away).toHaveBeenCalledOnce();
  const second = await connection(1);
  second.open(true);
  expect(back).toHaveBeenCalledOnce();
  expect(second.sent).toEqual(['x']);
  second.receive({ type: 'input_ack', offset: 1, numbered: true });
  await vi.advanceTimersByTimeAsync(13_000);
  expect(second.sent).toEqual(['x']);
  await vi.advanceTimersByTimeAsync(3000);
  expect(second.sent).toContain('ping');
  second.receive({ type: 'pong' });
  await vi.advanceTimersByTimeAsync(17_500);
  expect(away).toHaveBeenCalledOnce();
  await vi.advanceTimersByTimeAsync(3000);
  expect(away).toHaveBeenCalledTimes(2);
  stream.detach();
});

test('an offline machine is no dead connection: the server answers, and gets at most 64 KiB until it has acknowledged', async () => {
  const { stream, away } = attach();
  const socket = await connection(0);
  socket.open(true);
  expect(stream.write('y'.repeat(1024 * 1024))).toBe(true);
  expect(stream.write('z')).toBe(false);
  expect(socket.sent.join('')).toHaveLength(64 * 1024);
  for (let seconds = 0; seconds < 60; seconds += 1) {
    socket.receive({ type: 'pong' });
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(away).not.toHaveBeenCalled();
  socket.sent.splice(0);
  socket.receive({ type: 'input_ack', offset: 16 * 1024, numbered: true });
  expect(socket.sent.join('')).toHaveLength(16 * 1024);
  stream.detach();
});

test('two sizes set on return, which make a full-screen program draw its screen, are sent 100 ms before the input that waited', async () => {
  const { stream, back } = attach();
  back.mockImplementation(() => {
    stream.resize({ width: 80, height: 23 });
    stream.resize({ width: 80, height: 24 });
  });
  const first = await connection(0);
  first.open(true);
  first.break(1006);
  stream.resize({ width: 80, height: 24 });
  stream.write('q');
  const second = await connection(1);
  second.open(true);
  expect(second.sent).toEqual(['80x23', '80x24']);
  await vi.advanceTimersByTimeAsync(99);
  stream.write('r');
  expect(second.sent).toEqual(['80x23', '80x24']);
  await vi.advanceTimersByTimeAsync(1);
  expect(second.sent.slice(2)).toEqual(['q', 'r']);
  stream.resize({ width: 81, height: 24 });
  stream.write('s');
  expect(second.sent.slice(4)).toEqual(['81x24', 's']);
  stream.detach();
});
