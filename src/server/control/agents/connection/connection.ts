/** The WebSocket of one agent: framing, bounds, heartbeats. The session checks that a frame is legal, and handles it. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { nestsDeeperThan } from '../../../../core/json.ts';
import {
  type AgentFrame,
  CLOSE,
  encodeFrame,
  encodeFrameWith,
  parseAgentFrame,
  type ServerFrame,
} from '../../../../core/protocol.ts';
import { passingBuffers } from '../../../../node/native/passing-buffers.ts';
import { FrameCredit } from './frame-credit.ts';
import { AGENT_LIMITS } from './limits.ts';

/** The callbacks of a connection to its session. */
export interface ConnectionListener {
  /** Whether the next frame has to be a hello, which may be large. */
  readonly expectsHello: boolean;
  frame(frame: AgentFrame): void;
  records(bytes: Buffer): void;
  /** Called when few unsent bytes are left. */
  drained(): void;
  /** Called exactly once, after which nothing is sent or received. */
  closed(cause: { code: number; reason: string }): void;
}

export interface ConnectionOptions {
  ws: WebSocket;
  /** The socket below `ws`. Bytes that it reads prove that the agent is alive. It is corked while several frames are sent together. */
  socket: Pick<Socket, 'bytesRead' | 'cork' | 'uncork'>;
  framesPerSecond: number;
  listener: ConnectionListener;
}

/** Frames nest three deep; later versions may add to them. */
const MAX_DEPTH = 32;
/** Number of heartbeats without a byte from the agent after which a connection is ended. */
const MAX_SILENT_BEATS = 2;

/** The WebSocket of one agent. Owns its bounds and its heartbeats. */
export class AgentConnection {
  readonly #ws: WebSocket;
  readonly #socket: ConnectionOptions['socket'];
  readonly #listener: ConnectionListener;
  readonly #credit: FrameCredit;
  #closed = false;
  #bytesSeen = 0;
  #silentBeats = 0;
  #probe: NodeJS.Timeout | undefined;

  constructor({ ws, socket, framesPerSecond, listener }: ConnectionOptions) {
    this.#ws = ws;
    this.#socket = socket;
    this.#listener = listener;
    this.#credit = new FrameCredit({ framesPerSecond });
    ws.on('message', (data, isBinary) => this.#message(data as Buffer, isBinary));
    ws.on('ping', (data) => this.#ping(data.length));
    ws.on('pong', (data) => this.#spend(data.length));
    // A violation of the WebSocket protocol itself: ws has sent the fitting close code. `close` follows without that code.
    let violation = '';
    ws.on('error', ({ message }) => {
      violation = message;
    });
    ws.on('close', (code, reason) => this.#end(code, violation || reason.toString('utf8')));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes passed to `send` that are not yet written to the socket. */
  get unsentBytes(): number {
    return this.#ws.bufferedAmount;
  }

  /** Sends a frame; with an attachment as a binary message. Does nothing once closed. */
  send(frame: ServerFrame, attachment?: Buffer): void {
    if (this.#closed) return;
    const message = attachment === undefined ? encodeFrame(frame) : encodeFrameWith(frame, attachment);
    if (this.#ws.bufferedAmount + message.length <= AGENT_LIMITS.unsentLow) this.#ws.send(message);
    else this.#ws.send(message, this.#written);
  }

  /** Runs `send`, and writes all frames that it sends at once. */
  together(send: () => void): void {
    this.#socket.cork();
    try {
      send();
    } finally {
      this.#socket.uncork();
    }
  }

  /** Stops reading from the socket until `resume`: the store is slower than this agent. */
  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Closes the connection. Frames sent before are still delivered, frames that arrive are dropped. */
  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#ws.resume();
    this.#ws.close(code, shortened(reason));
    this.#end(code, reason);
  }

  /** Ends the connection without a close frame, for a peer that does not answer. */
  terminate(reason: string): void {
    this.#ws.terminate();
    this.#end(CLOSE.timeout, reason);
  }

  /** Sends a ping, once an interval. Silence for two of them ends the connection. */
  beat(): void {
    const { bytesRead } = this.#socket;
    // While the session does not read, bytes of the agent are not seen: it does not count as silent.
    const silent = bytesRead === this.#bytesSeen && !this.#ws.isPaused;
    this.#silentBeats = silent ? this.#silentBeats + 1 : 0;
    this.#bytesSeen = bytesRead;
    if (this.#silentBeats >= MAX_SILENT_BEATS) this.terminate('silent for two heartbeats');
    else this.#ws.ping();
  }

  /** Sends a ping, and ends the connection if no byte arrives within `ms`. Used when another connection claims the machine. */
  probe(ms: number): void {
    if (this.#closed || this.#probe !== undefined) return;
    const { bytesRead } = this.#socket;
    this.#ws.ping();
    this.#probe = setTimeout(() => {
      this.#probe = undefined;
      if (this.#socket.bytesRead === bytesRead && !this.#ws.isPaused) this.terminate('no sign of life');
    }, ms);
  }

  readonly #written = (): void => {
    if (!this.#closed && this.#ws.bufferedAmount <= AGENT_LIMITS.unsentLow) this.#listener.drained();
  };

  #message(data: Buffer, isBinary: boolean): void {
    if (this.#closed) return;
    if (isBinary) this.#records(data);
    else if (this.#spend(this.#listener.expectsHello ? 0 : data.length)) this.#frame(data);
  }

  #frame(data: Buffer): void {
    // The WebSocket itself limits the size of a hello.
    if (data.length > AGENT_LIMITS.frameBytes && !this.#listener.expectsHello) {
      this.close(CLOSE.tooLarge, 'a control frame of more than 64 KiB');
      return;
    }
    if (nestsDeeperThan(MAX_DEPTH, data)) {
      this.close(CLOSE.badFrame, 'nested too deep');
      return;
    }
    const parsed = parseAgentFrame(data.toString('utf8'));
    if (parsed.ok) this.#listener.frame(parsed.frame);
    else this.close(CLOSE.badFrame, parsed.reason);
  }

  #records(bytes: Buffer): void {
    if (bytes.length > AGENT_LIMITS.recordsBytes) this.close(CLOSE.tooLarge, 'records of more than 1 MiB');
    else {
      passingBuffers.add(bytes.length);
      this.#listener.records(bytes);
    }
  }

  /** The answer to a ping waits in memory until the agent reads. An agent that pings and never reads is dropped. */
  #ping(bytes: number): void {
    if (this.#spend(bytes) && this.#ws.bufferedAmount > AGENT_LIMITS.unreadBytes) this.terminate('does not read');
  }

  /** Control frames, pings and pongs use up a credit that refills. Records are bounded by flow control instead. */
  #spend(bytes: number): boolean {
    if (this.#closed) return false;
    if (this.#credit.spend(bytes, performance.now())) return true;
    this.close(CLOSE.tooManyFrames, 'too many frames');
    return false;
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#probe);
    this.#listener.closed({ code, reason });
  }
}

/**
 * RFC 6455 §5.5 leaves 123 bytes for a reason, and reasons contain ids that the agent chose. A character cut in two becomes U+FFFD, which
 * has 3 bytes.
 */
function shortened(reason: string): string {
  const bytes = Buffer.from(reason);
  return bytes.length <= 123 ? reason : bytes.toString('utf8', 0, 120);
}
