/** A command on a terminal whose connections go silent, with a server that is scripted. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { HttpRequest } from '../../../src/client/http/transport.ts';
import { Execplane, type ExecutionHandle, type OutageListener } from '../../../src/client/main.ts';
import { answeredExecution } from '../answers.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One request, which the test answers. */
class Request {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly #answered = Promise.withResolvers<Response>();
  #output: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(url: string, { headers = {}, body, signal }: HttpRequest) {
    const { pathname, searchParams } = new URL(url);
    this.path = pathname.slice(pathname.lastIndexOf('/') + 1);
    this.query = searchParams;
    this.headers = headers;
    this.body = body instanceof Uint8Array ? Buffer.from(body).toString() : '';
    signal?.addEventListener('abort', () => {
      this.#answered.reject(signal.reason);
      this.#output?.error(signal.reason);
    });
  }

  get answered(): Promise<Response> {
    return this.#answered.promise;
  }

  json(value: unknown): void {
    this.#answered.resolve(Response.json(value));
  }

  /** Answers with a body that stays open. */
  open(): this {
    if (this.#output !== undefined) return this;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#output = controller;
      },
    });
    this.#answered.resolve(new Response(body));
    return this;
  }

  send(bytes: Uint8Array): void {
    this.#output?.enqueue(bytes);
  }
}

/** A frame of merged output: stdout. */
function printed(text: string): Uint8Array {
  return Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
}

async function start(options: { tty?: { width: number; height: number } }) {
  const requests: Request[] = [];
  const client = new Execplane({
    url: 'http://127.0.0.1:1',
    fetch: (url, init) => {
      const request = new Request(url, init);
      requests.push(request);
      if (request.path === 'executions') request.json({ ...answeredExecution('ex-1'), status: 'running' });
      return request.answered;
    },
  });
  const handle = await client.machine('dm-one').start(['sh'], { ...options, stdin: 'open', output: 'stream' });
  const of = (path: string): Request[] => requests.filter((request) => request.path === path);
  return { handle, of };
}

/** Reads both streams of a command as `execplane exec` does. Returns what was printed. */
function read(handle: ExecutionHandle, signal: AbortSignal, outage: OutageListener): { text: string } {
  const shown = { text: '' };
  const ignore = (): void => {};
  const events = async (): Promise<void> => {
    for await (const _event of handle.events({ signal, outage }));
  };
  const output = async (): Promise<void> => {
    for await (const { bytes } of handle.merged({ signal })) shown.text += Buffer.from(bytes).toString();
  };
  events().catch(ignore);
  output().catch(ignore);
  return shown;
}

const TTY = { tty: { width: 80, height: 24 } };

test('input that nothing answers within 5 s is sent again at its offset, and the streams are opened again at theirs', async () => {
  const { handle, of } = await start(TTY);
  const abort = new AbortController();
  const outage = { away: vi.fn(), back: vi.fn() };
  const shown = read(handle, abort.signal, outage);
  await vi.advanceTimersByTimeAsync(1);
  of('merged')[0]?.open().send(printed('$ '));
  of('events')[0]?.open();
  const writer = handle.stdin.getWriter();
  await vi.advanceTimersByTimeAsync(60);
  void writer.write(Buffer.from('x'));
  await vi.advanceTimersByTimeAsync(4000);
  expect([of('stdin').length, of('merged').length, of('events').length]).toEqual([1, 1, 1]);
  await vi.advanceTimersByTimeAsync(1200);
  expect([of('stdin').length, of('merged').length, of('events').length]).toEqual([2, 2, 2]);
  expect(of('stdin').map(({ query, body }) => [query.get('offset'), body])).toEqual([
    ['0', 'x'],
    ['0', 'x'],
  ]);
  expect(of('merged')[1]?.query.get('stdout_offset')).toBe('2');
  of('stdin')[1]?.json({ execution_id: 'ex-1', offset: 1, closed: false });
  of('events')[1]?.open();
  of('merged')[1]?.open().send(printed('x'));
  await vi.advanceTimersByTimeAsync(30_000);
  expect(shown.text).toBe('$ x');
  expect([of('stdin').length, of('merged').length, of('events').length]).toEqual([2, 2, 2]);
  expect(outage.away).not.toHaveBeenCalled();
  abort.abort();
});

test('a connection that cannot be opened either is tried again every 5 s, and reported as an outage', async () => {
  const { handle, of } = await start(TTY);
  const abort = new AbortController();
  const outage = { away: vi.fn(), back: vi.fn() };
  read(handle, abort.signal, outage);
  await vi.advanceTimersByTimeAsync(1);
  of('merged')[0]?.open();
  of('events')[0]?.open();
  await vi.advanceTimersByTimeAsync(1);
  void handle.stdin.getWriter().write(Buffer.from('x'));
  await vi.advanceTimersByTimeAsync(17_000);
  expect(of('events')).toHaveLength(4);
  expect(outage.away).toHaveBeenCalledOnce();
  of('events')[3]?.open();
  await vi.advanceTimersByTimeAsync(1);
  expect(outage.back).toHaveBeenCalledOnce();
  abort.abort();
});

test('input without an echo, such as a password, opens the streams again, and is no outage', async () => {
  const { handle, of } = await start(TTY);
  const abort = new AbortController();
  const outage = { away: vi.fn(), back: vi.fn() };
  read(handle, abort.signal, outage);
  const writer = handle.stdin.getWriter();
  for (let second = 0; second < 60; second += 1) {
    void writer.write(Buffer.from('*'));
    await vi.advanceTimersByTimeAsync(1000);
    for (const request of [...of('merged'), ...of('events')]) request.open();
    for (const request of of('stdin')) request.json({ execution_id: 'ex-1', offset: second, closed: false });
  }
  expect(of('merged').length).toBeGreaterThan(5);
  expect(outage.away).not.toHaveBeenCalled();
  abort.abort();
});

test('a command without a terminal need not print anything after input', async () => {
  const { handle, of } = await start({});
  const abort = new AbortController();
  read(handle, abort.signal, { away: vi.fn(), back: vi.fn() });
  await vi.advanceTimersByTimeAsync(1);
  of('merged')[0]?.open();
  of('events')[0]?.open();
  void handle.stdin.getWriter().write(Buffer.from('x'));
  await vi.advanceTimersByTimeAsync(40_000);
  expect([of('stdin').length, of('merged').length, of('events').length]).toEqual([1, 1, 1]);
  abort.abort();
});
