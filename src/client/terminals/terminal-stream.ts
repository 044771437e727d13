/** A connection to a terminal that reconnects by itself: every byte of output arrives once, in order, until the shell has ended. */
import { backoffMs, pause } from '../http/backoff.ts';
import { ExecplaneError, isRetryable, UnreachableError } from '../http/errors.ts';
import type { Transport } from '../http/transport.ts';
import { type ControlMessage, parseControlMessage } from './control-message.ts';
import { TerminalInput } from './terminal-input.ts';
import { type Closed, ticketFor, untilClosed } from './terminal-socket.ts';

export interface TerminalSize {
  /** Columns. */
  width: number;
  /** Rows. */
  height: number;
}

/** Events to report to the user of the terminal. */
export interface TerminalListener {
  /** Called once for each outage: the connection broke or could not be opened, and is tried again. */
  away?(reason: Error): void;
  /** Called when the connection is open again, before sizes and input that wait are sent. No output was missed. */
  back?(): void;
  /** Called when input was dropped, because the machine's agent is offline and too much input waits for it. */
  inputLost?(): void;
}

export interface AttachOptions {
  /** First byte of the output, counted from the start of the terminal. Default: the start of the scrollback. */
  offset?: number;
  /** `false`: without the scrollback. */
  replay?: boolean;
  /** Size to set as soon as it is connected. */
  size?: TerminalSize;
  listener?: TerminalListener;
}

export interface TerminalEnd {
  /** `exit N`, `signal N`, an error code such as `agent_lost`, or `detached`. */
  reason: string;
  exitCode?: number;
  signal?: number;
}

const RECONNECT = { firstMs: 250, maxMs: 5000 };
/** Time limit of the first attempt to connect, ms. Each further one has as much more, up to the last. */
const CONNECT = { firstMs: 2000, maxMs: 20_000 };
/** Maximum number of attempts for the first connection. A later one is tried without end. */
const FIRST_ATTEMPTS = 4;
/** Maximum bytes of unread output. Above it the connection is closed, and opened again once all was read. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
/** The number of bytes read after which output is acknowledged. */
const ACK_BYTES = 32 * 1024;
/** Sizes that may wait. Two in a row make full-screen programs draw their screen again. */
const MAX_WAITING_SIZES = 2;
/** Time for a program to take a new size after an outage, ms. Some, as less(1), drop a key that comes while they do. */
const RESIZE_MS = 100;
/** The close code after which nothing follows. */
const NORMAL = 1000;

/** A connection to a terminal. Iterating over it yields the output. */
export class TerminalStream implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  /** The output of the terminal. It ends with the shell, or on `detach`. It errors with the reason if the terminal is refused. */
  readonly output: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Settles with the end of the shell. Rejects as `output` does. */
  readonly end: Promise<TerminalEnd>;
  readonly #transport: Transport;
  readonly #path: string;
  readonly #options: AttachOptions;
  readonly #detached = new AbortController();
  readonly #ended = Promise.withResolvers<TerminalEnd>();
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #read = Promise.withResolvers<void>();
  #socket: WebSocket | undefined;
  #offset: number | undefined;
  /** The offset up to which output was acknowledged; undefined if the server does not accept acknowledgements. */
  #acknowledged: number | undefined;
  readonly #input = new TerminalInput();
  /** Whether the server has told on this connection how it takes input. */
  #greeted = false;
  /** The latest sizes that were not sent. */
  readonly #sizes: TerminalSize[] = [];
  /** Whether input waits until the program has taken its new size. */
  #resizing = false;
  #wasOpen = false;
  #away = false;

  /** `path` of the terminal in the API. */
  constructor(transport: Transport, path: string, options: AttachOptions) {
    this.#transport = transport;
    this.#path = path;
    this.#options = options;
    this.#offset = options.offset;
    if (options.size !== undefined) this.#sizes.push(options.size);
    this.output = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wasRead(),
        cancel: () => this.detach(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_UNREAD_BYTES }),
    );
    this.end = this.#ended.promise;
    this.end.catch(() => {});
    void this.#run();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array<ArrayBuffer>> {
    return this.output[Symbol.asyncIterator]();
  }

  /** Number of bytes of input that the terminal does not have yet, as far as is known. */
  get unsentBytes(): number {
    return this.#input.waitingBytes + (this.#socket?.bufferedAmount ?? 0);
  }

  /**
   * Sends input to the terminal, which gets each byte once and in order, also if connections break meanwhile. Without a connection the input
   * waits for the next one. Returns false and drops the input if 1 MiB waits already. With a server or an agent of an earlier version, input
   * that is being sent when a connection breaks may be lost.
   */
  write(input: string | Uint8Array): boolean {
    const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
    const isAdded = this.#input.add(bytes);
    this.#flush();
    return isAdded;
  }

  /** The shell gets the size before any input that was not sent yet. Of the sizes set during an outage it gets the last two. */
  resize(size: TerminalSize): void {
    this.#sizes.push(size);
    if (this.#sizes.length > MAX_WAITING_SIZES) this.#sizes.shift();
    this.#flush();
  }

  /** Disconnects. The shell keeps running. */
  detach(): void {
    this.#finish({ reason: 'detached' });
  }

  #wasRead(): void {
    this.#read.resolve();
    const unread = MAX_UNREAD_BYTES - (this.#controller?.desiredSize ?? MAX_UNREAD_BYTES);
    const offset = (this.#offset ?? 0) - unread;
    if (this.#acknowledged === undefined || offset - this.#acknowledged < ACK_BYTES) return;
    if (this.#socket?.readyState !== 1) return;
    this.#acknowledged = offset;
    this.#socket.send(JSON.stringify({ type: 'ack', offset }));
  }

  #flush(): void {
    const socket = this.#socket;
    if (socket?.readyState !== 1 || !this.#greeted) return;
    for (const size of this.#sizes.splice(0)) socket.send(JSON.stringify({ type: 'resize', ...size }));
    if (this.#resizing) return;
    for (const bytes of this.#input.next()) socket.send(bytes);
  }

  /** Sends no input for a moment, while the program takes its new size. */
  async #holdInput(): Promise<void> {
    this.#resizing = true;
    await pause(RESIZE_MS, this.#detached.signal).catch(() => undefined);
    this.#resizing = false;
    this.#flush();
  }

  async #run(): Promise<void> {
    const { signal } = this.#detached;
    for (let failures = 0; !signal.aborted; failures += 1) {
      let reason: unknown;
      try {
        await this.#hasRoom();
        const closed = await this.#connect(Math.min(CONNECT.firstMs * (failures + 1), CONNECT.maxMs));
        if (closed.code === NORMAL) return this.#finish(endOf(closed.reason));
        if (closed.opened) failures = 0;
        const cause = new Error(closed.reason || `the stream was closed (${closed.code})`);
        reason = new UnreachableError(this.#transport.origin, { cause });
      } catch (error) {
        if (!isRetryable(error)) return this.#fail(error);
        reason = error;
      }
      if (signal.aborted) return;
      if (!this.#wasOpen && failures + 1 >= FIRST_ATTEMPTS) return this.#fail(reason);
      if (this.#wasOpen) this.#tellAway(reason);
      await pause(backoffMs(failures, RECONNECT), signal).catch(() => undefined);
    }
  }

  /** Settles when the connection is closed, or was ended because it is dead, or there is no room for its output. */
  async #connect(timeoutMs: number): Promise<Closed> {
    const { signal } = this.#detached;
    const resume = this.#offset !== undefined;
    const ticket = await ticketFor(this.#transport, this.#path, { resume, timeoutMs, signal });
    const replay = this.#options.replay === false && !resume ? 'none' : undefined;
    const input = { writer: this.#input.writer, input_offset: this.#input.offset };
    const query = { ticket, frames: 'binary', offsets: true, acks: true, offset: this.#offset, replay, ...input };
    signal.throwIfAborted();
    const socket = this.#transport.webSocket(`${this.#path}/stream`, query);
    const listener = {
      opened: () => this.#opened(socket),
      received: (data: unknown) => this.#receive(data),
      answerState: () => this.#input.answerState,
    };
    try {
      return await untilClosed(socket, listener, { timeoutMs, signal });
    } finally {
      this.#socket = undefined;
      this.#greeted = false;
      this.#acknowledged = undefined;
      this.#input.disconnected();
      socket.close(NORMAL);
    }
  }

  #opened(socket: WebSocket): void {
    this.#socket = socket;
    this.#wasOpen = true;
  }

  /** Returns false if there is no room for more. */
  #receive(data: unknown): boolean {
    if (data instanceof ArrayBuffer) {
      this.#offset = (this.#offset ?? 0) + data.byteLength;
      this.#controller?.enqueue(new Uint8Array(data));
      return (this.#controller?.desiredSize ?? 0) > 0;
    }
    const message = parseControlMessage(String(data));
    if (message === undefined) return true;
    const { type, offset, numbered = false } = message;
    if (type === 'offset' && offset !== undefined) this.#greet(offset, message);
    else if (type === 'input_ack' && offset !== undefined) this.#input.acknowledged(offset, numbered);
    else if (message.error_code === 'AGENT_AWAY') this.#options.listener?.inputLost?.();
    this.#flush();
    return true;
  }

  /** The server sends its offset at the start of a connection, and after a gap. */
  #greet(offset: number, { acks, numbered }: ControlMessage): void {
    this.#offset = offset;
    this.#acknowledged = acks ? offset : undefined;
    if (this.#greeted) return;
    this.#input.connected(numbered ?? false);
    // No input is sent before the sizes that `back` sets.
    if (this.#away) this.#options.listener?.back?.();
    if (this.#away && this.#sizes.length > 0) void this.#holdInput();
    this.#away = false;
    this.#greeted = true;
  }

  async #hasRoom(): Promise<void> {
    while ((this.#controller?.desiredSize ?? 1) <= 0 && !this.#detached.signal.aborted) {
      this.#read = Promise.withResolvers();
      await this.#read.promise;
    }
  }

  #tellAway(reason: unknown): void {
    if (!this.#away && reason instanceof Error) this.#options.listener?.away?.(reason);
    this.#away = true;
  }

  #finish(end: TerminalEnd): void {
    if (this.#detached.signal.aborted) return;
    this.#ended.resolve(end);
    this.#stop();
    try {
      this.#controller?.close();
    } catch {
      // The reader has cancelled the stream.
    }
  }

  #fail(reason: unknown): void {
    if (this.#detached.signal.aborted) return;
    this.#ended.reject(reason);
    this.#stop();
    this.#controller?.error(reason);
  }

  #stop(): void {
    this.#detached.abort(new ExecplaneError('the terminal was left'));
    this.#read.resolve();
  }
}

function endOf(reason: string): TerminalEnd {
  const [, word, number] = /^(exit|signal) (\d+)$/.exec(reason) ?? [];
  if (word === 'exit') return { reason, exitCode: Number(number) };
  return word === 'signal' ? { reason, signal: Number(number) } : { reason };
}
