/** One connection to a terminal: its ticket, and its WebSocket from the upgrade to the close. */
import { UnreachableError } from '../http/errors.ts';
import { TERMINAL_TICKET } from '../http/shapes.ts';
import type { Transport } from '../http/transport.ts';
import { AnswerWatch, type AnswerWatchDeps } from './answer-watch.ts';

/** The end of a connection. `code` is 0 if this side left. */
export interface Closed {
  code: number;
  reason: string;
  /** Whether it was open before. */
  opened: boolean;
}

export interface SocketListener {
  opened(): void;
  /** Returns false to leave, because there is no room for more. */
  received(data: unknown): boolean;
  /** Whether the server owes an answer, or answers pings at all. */
  answerState(): ReturnType<AnswerWatchDeps['state']>;
}

/** Returns a ticket for one connection. `timeoutMs`: the request can hang on a dead connection that an earlier request used. */
export async function ticketFor(
  transport: Transport,
  path: string,
  p: { resume: boolean; timeoutMs: number; signal: AbortSignal },
): Promise<string | undefined> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), p.timeoutMs);
  const signal = AbortSignal.any([p.signal, timeout.signal]);
  const call = { query: p.resume ? { resume: true } : {}, attempts: 1, signal };
  try {
    const { stream_url } = await transport.json('POST', `${path}/tickets`, TERMINAL_TICKET, call);
    return new URL(stream_url).searchParams.get('ticket') ?? undefined;
  } catch (cause) {
    if (timeout.signal.aborted) throw new UnreachableError(transport.origin, { cause });
    throw cause;
  } finally {
    clearTimeout(timer);
  }
}

/** Settles when the connection is closed, was not opened in time, is dead, or `signal` aborts. The caller closes the socket. */
export function untilClosed(
  socket: WebSocket,
  listener: SocketListener,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<Closed> {
  const closed = Promise.withResolvers<Closed>();
  let opened = false;
  const left = (reason: string): void => closed.resolve({ code: 0, reason, opened });
  const timer = setTimeout(() => left('no connection in time'), timeoutMs);
  const detached = (): void => left('detached');
  signal.addEventListener('abort', detached, { once: true });
  const watch = new AnswerWatch({
    state: () => listener.answerState(),
    ping: () => socket.send('{"type":"ping"}'),
    dead: () => left('the server does not answer'),
  });
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    opened = true;
    clearTimeout(timer);
    listener.opened();
  };
  socket.onmessage = ({ data }: { data: unknown }) => {
    watch.heard();
    if (!listener.received(data)) left('what it printed is not read');
  };
  socket.onerror = () => {}; // `close` follows
  socket.onclose = ({ code, reason }) => closed.resolve({ code, reason, opened });
  return closed.promise.finally(() => {
    clearTimeout(timer);
    watch.stop();
    signal.removeEventListener('abort', detached);
    socket.onmessage = null;
  });
}
