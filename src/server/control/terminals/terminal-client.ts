/** One client of a terminal: its WebSocket from the upgrade to the close. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { isTerminal } from '../../../core/execution.ts';
import type { StdinWriter } from '../../../core/protocol.ts';
import { startHeartbeat } from '../../../node/network/heartbeat.ts';
import { type Execution, OutputReleasedError, type Store } from '../../../store/store.ts';
import type { TerminalCommands } from './terminal-commands.ts';
import { watchCommits } from '../live/watch-commits.ts';
import {
  CLOSED_MESSAGE,
  errorMessage,
  inputAckMessage,
  offsetMessage,
  outputMessage,
  PONG_MESSAGE,
  parseClientMessage,
} from './messages.ts';
import { ReadAhead } from './read-ahead.ts';
import { TerminalInput } from './terminal-input.ts';

/** Maximum bytes of output in one message, before base64: one SDK refuses messages over 1 MiB. */
const MAX_OUTPUT_BYTES = 64 * 1024;
/** A client that reads nothing for `stallMs` is closed, and so is one that sends nothing, not even a pong, for two heartbeats. */
const TIMEOUTS = { stallMs: 10_000, heartbeatMs: 15_000 };
/** The limit of sent bytes that are not acknowledged. At the limit the next piece is not read. */
const MAX_UNTAKEN_BYTES = 256 * 1024;
const MAX_BAD_MESSAGES = 20;
const POLL_INTERVAL_MS = 30_000;
const CLOSE = { normal: 1000, badMessages: 1008, failed: 1011, stopping: 1012, stalled: 1013 } as const;

export interface TerminalClientOptions {
  /** Output and input as binary messages. */
  binary: boolean;
  /** First byte to send, counted from the start of the terminal. */
  offset: number;
  /** Whether the client receives the offset at which output starts, and the offset after skipped bytes. */
  tellsOffsets: boolean;
  /** Whether the client acknowledges output. Otherwise bytes count as acknowledged when they are written to the socket. */
  acknowledges: boolean;
  /** The client numbers its input: the id of the numbering, and the offset of the first byte of this connection. */
  writer?: StdinWriter | undefined;
  /** Aborts when the key becomes invalid or the server stops, with the reason `key_invalid` or `stopping`. */
  signal: AbortSignal;
}

export interface TerminalClientDeps {
  store: Pick<Store, 'readStream' | 'getExecution' | 'outputBounds'>;
  control: Pick<TerminalCommands, 'writeStdin' | 'resize' | 'subscribe'>;
  log: { error(fields: object, text: string): void };
  /** Called when the client has acknowledged more output, so that the terminal may print more. */
  advanced?: () => void;
  /** Absent: the default of docs/api.md. */
  timeouts?: Readonly<typeof TIMEOUTS>;
}

/** The connection of a client. */
export interface ClientConnection {
  ws: WebSocket;
  socket: Pick<Socket, 'bytesRead'>;
}

/** One client of a terminal. Owns its WebSocket. */
export class TerminalClient {
  /** Offset after the last byte sent. */
  offset: number;
  received = 0;
  readonly execution: Execution;
  readonly readAhead: ReadAhead;
  readonly #deps: TerminalClientDeps;
  readonly #ws: WebSocket;
  readonly #options: TerminalClientOptions;
  readonly #timeouts: Readonly<typeof TIMEOUTS>;
  readonly #disconnected = new AbortController();
  readonly #input: TerminalInput;
  #badMessages = 0;
  /** Ends the wait for acknowledgements. */
  #wake: () => void = () => {};

  constructor(
    deps: TerminalClientDeps,
    { ws, socket }: ClientConnection,
    execution: Execution,
    options: TerminalClientOptions,
  ) {
    this.#deps = deps;
    this.#ws = ws;
    this.#timeouts = deps.timeouts ?? TIMEOUTS;
    this.#options = options;
    this.offset = options.offset;
    this.execution = execution;
    this.readAhead = new ReadAhead(options.offset);
    this.#input = new TerminalInput({
      control: deps.control,
      execution,
      writer: options.writer,
      accepted: (accepted, numbered) => this.#send(inputAckMessage(accepted, numbered)),
      dropped: () => this.#send(errorMessage('AGENT_AWAY', 'The agent of the machine is offline: the input is lost.')),
      failed: (err) => this.#fail(err),
      full: (isFull) => this.#readClient(!isFull),
    });
    ws.on('message', (data: Buffer, isBinary: boolean) => this.#receive(data, isBinary));
    const stopHeartbeat = startHeartbeat(ws, socket, this.#timeouts.heartbeatMs, () => ws.terminate());
    ws.on('close', () => {
      stopHeartbeat();
      this.#input.finish();
      this.#disconnected.abort();
      this.#wake();
    });
    ws.on('error', () => {}); // `close` follows
    options.signal.addEventListener('abort', () => this.#end(), { once: true });
    if (options.signal.aborted) this.#end();
  }

  /** Sends past and present output, until the terminal ends, or the client disconnects or does not read. */
  async run(execution: Execution): Promise<void> {
    const { signal } = this.#disconnected;
    const commits = watchCommits(this.#deps.control, execution.executionId);
    const { machineId, executionId } = execution;
    this.#tellOffset();
    try {
      // The shell can have ended since `execution` was read.
      let latest = await this.#deps.store.getExecution({ machineId, executionId });
      while (this.#isOpen) {
        const ended = latest === undefined || isTerminal(latest.status);
        await this.#sendPrinted(executionId);
        if (ended && this.#isOpen) return this.#close(latest);
        const committed = await commits.next(POLL_INTERVAL_MS, signal);
        latest = committed ? commits.latest() : await this.#deps.store.getExecution({ machineId, executionId });
      }
    } catch (cause) {
      this.#fail(cause);
    } finally {
      commits.close();
    }
  }

  get #isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  async #sendPrinted(executionId: string): Promise<void> {
    while (this.#isOpen) {
      const bytes = await this.#read(executionId);
      if (bytes.length === 0) return;
      this.offset += bytes.length;
      this.#sendOutput(bytes, this.offset);
      await this.#taken();
    }
  }

  /** Reads the next output. Skips bytes that were deleted meanwhile because they were older than the scrollback. */
  async #read(executionId: string): Promise<Buffer> {
    const query = { executionId, stream: 'stdout', maxBytes: MAX_OUTPUT_BYTES } as const;
    try {
      return await this.#deps.store.readStream({ ...query, offset: this.offset });
    } catch (error) {
      if (!(error instanceof OutputReleasedError)) throw error;
      this.offset = (await this.#deps.store.outputBounds(query)).start;
      this.#took(this.offset);
      this.#tellOffset();
      return this.#deps.store.readStream({ ...query, offset: this.offset });
    }
  }

  #sendOutput(bytes: Buffer, end: number): void {
    if (!this.#isOpen) return;
    this.readAhead.sent(end, performance.now());
    const { binary, acknowledges } = this.#options;
    this.#ws.send(binary ? bytes : outputMessage(bytes), (error) => {
      if (!error && (!acknowledges || this.#ws.isPaused)) this.#took(end);
    });
  }

  /** Its acknowledgements are behind input that the terminal does not take: meanwhile they cannot be waited for. */
  #readClient(on: boolean): void {
    if (on) this.#ws.resume();
    else {
      this.#ws.pause();
      this.#took(this.offset);
    }
  }

  #took(end: number): void {
    if (!this.readAhead.took(Math.min(end, this.offset), performance.now())) return;
    this.#wake();
    this.#deps.advanced?.();
  }

  /** Waits until the client has acknowledged enough output. Closes the connection of a client that acknowledges none. */
  async #taken(): Promise<void> {
    while (this.offset - this.readAhead.taken > MAX_UNTAKEN_BYTES && this.#isOpen) {
      const before = this.readAhead.taken;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#timeouts.stallMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (this.readAhead.taken === before && this.#isOpen) this.#leave(CLOSE.stalled, 'the client does not read');
    }
  }

  #receive(data: Buffer, isBinary: boolean): void {
    const message = parseClientMessage(data, isBinary);
    if (message === undefined) {
      this.#badMessages += 1;
      this.#send(errorMessage('INVALID_MESSAGE', 'The message is neither input, resize, ack nor ping.'));
      if (this.#badMessages >= MAX_BAD_MESSAGES) this.#leave(CLOSE.badMessages, 'too many bad messages');
      return;
    }
    this.#badMessages = 0;
    if (message.type === 'resize') this.#input.resize(message.size);
    else if (message.type === 'ack') this.#took(message.offset);
    else if (message.type === 'ping') this.#send(PONG_MESSAGE);
    else {
      this.received += message.bytes.length;
      this.#input.write(message.bytes);
    }
  }

  #tellOffset(): void {
    if (this.#options.tellsOffsets) this.#send(offsetMessage(this.offset, this.#options.writer !== undefined));
  }

  /** Closes the connection. The close frame follows unread output; `ws` ends the connection of a client that does not read. */
  #leave(code: number, reason: string): void {
    this.#ws.close(code, reason);
    this.#input.finish();
    this.#disconnected.abort();
    this.#wake();
  }

  #send(message: string | Buffer): void {
    if (this.#isOpen) this.#ws.send(message);
  }

  /** Closes after the end of the terminal, always as a normal closure: an SDK reconnects endlessly after other codes. */
  #close(execution: Execution | undefined): void {
    this.#send(CLOSED_MESSAGE);
    this.#leave(CLOSE.normal, endOf(execution));
  }

  #end(): void {
    this.#input.abort();
    const stopping = this.#options.signal.reason === 'stopping';
    if (stopping) this.#leave(CLOSE.stopping, 'the server stops');
    else this.#leave(CLOSE.badMessages, 'the API key is not valid any more');
  }

  #fail(err: unknown): void {
    if (this.#disconnected.signal.aborted) return;
    this.#deps.log.error(
      { err },
      'the connection of a client to a terminal failed, and the client has to connect again',
    );
    this.#leave(CLOSE.failed, 'the server failed');
  }
}

/** Returns the reason of the closure: at most 123 bytes fit. */
function endOf(execution: Execution | undefined): string {
  if (execution?.exitCode !== undefined) return `exit ${execution.exitCode}`;
  if (execution?.signal !== undefined) return `signal ${execution.signal}`;
  return execution?.errorCode ?? 'gone';
}
