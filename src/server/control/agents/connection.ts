/** One WebSocket of one agent: framing, legality of what comes, close codes, heartbeats. What frames mean is not known here. */
import type { WebSocket } from 'ws';
import {
  type AgentFrame,
  CLOSE,
  encodeFrame,
  encodeFrameWith,
  type Hello,
  parseAgentFrame,
  type ServerFrame,
} from '../../../core/protocol.ts';
import { nestsDeeperThan } from '../../../core/json-depth.ts';
import type { Beating } from './heartbeat.ts';
import { AGENT_LIMITS } from './limits.ts';

export interface ConnectionEvents {
  hello(connection: AgentConnection, hello: Hello): void;
  frame(connection: AgentConnection, frame: Exclude<AgentFrame, Hello>): void;
  records(connection: AgentConnection, bytes: Buffer): void;
  /** What was to be sent has shrunk to a little. */
  drained(connection: AgentConnection): void;
  /** Nothing more is sent or taken; comes exactly once. */
  closed(connection: AgentConnection, why: { code: number; reason: string }): void;
}

/** How the bytes that the socket has read and still holds are counted; `net.Socket` has both. */
export interface ByteCount {
  readonly bytesRead: number;
}

/** Frames nest three deep; later versions may add to them. */
const MAX_DEPTH = 32;

/** The credit for frames holds so many seconds' worth. */
const FRAME_BURST_S = 2;

export class AgentConnection implements Beating {
  readonly machineId: string;
  /** SHA-256 of the credential it came with. */
  readonly credentialHash: Buffer;
  readonly #ws: WebSocket;
  readonly #socket: ByteCount;
  readonly #events: ConnectionEvents;
  #phase: 'new' | 'greeted' | 'open' | 'closed' = 'new';
  #bytesSeen = 0;
  #silentBeats = 0;
  #beats = 0;
  readonly #framesPerSecond: number;
  #frameCredit: number;
  #creditAt = 0;
  #probe: NodeJS.Timeout | undefined;

  constructor(p: {
    ws: WebSocket;
    socket: ByteCount;
    machineId: string;
    credentialHash: Buffer;
    framesPerSecond: number;
    events: ConnectionEvents;
  }) {
    this.machineId = p.machineId;
    this.credentialHash = p.credentialHash;
    this.#ws = p.ws;
    this.#socket = p.socket;
    this.#events = p.events;
    this.#framesPerSecond = p.framesPerSecond;
    this.#frameCredit = p.framesPerSecond * FRAME_BURST_S;
    p.ws.on('message', (data, isBinary) => this.#message(data as Buffer, isBinary));
    p.ws.on('ping', () => this.#spendCredit());
    // A violation of the WebSocket protocol itself: ws has sent the fitting close code; `close` follows, and knows nothing of it.
    let violation = '';
    p.ws.on('error', ({ message }) => {
      violation = message;
    });
    p.ws.on('close', (code, reason) => this.#end(code, violation || reason.toString('utf8')));
  }

  get closed(): boolean {
    return this.#phase === 'closed';
  }

  /** Bytes handed to `send` that the socket has not taken over yet. */
  get unsentBytes(): number {
    return this.#ws.bufferedAmount;
  }

  /** After the welcome records may come. */
  open(): void {
    if (this.#phase === 'greeted') this.#phase = 'open';
  }

  /** Sends a frame; with an attachment as a binary message. Nothing happens once closed. */
  send(frame: ServerFrame, attachment?: Buffer): void {
    if (this.closed) return;
    const message = attachment === undefined ? encodeFrame(frame) : encodeFrameWith(frame, attachment);
    if (this.#ws.bufferedAmount + message.length <= AGENT_LIMITS.unsentLow) this.#ws.send(message);
    else this.#ws.send(message, this.#written);
  }

  /** No more is read from the socket until `resume`: the store is slower than this agent. */
  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  /** Ends it: what was sent before still goes out, what still comes in is dropped. */
  close(code: number, reason: string): void {
    if (this.closed) return;
    this.#ws.resume();
    this.#ws.close(code, shortened(reason));
    this.#end(code, reason);
  }

  /** Ends it without a word: the peer does not answer. */
  terminate(reason: string): void {
    this.#ws.terminate();
    this.#end(CLOSE.timeout, reason);
  }

  /** Once an interval: silence for two of them is the end, and so is a hello that has not come in a whole one. */
  beat(): void {
    this.#beats += 1;
    const { bytesRead } = this.#socket;
    // While we do not read, silence says nothing.
    const silent = bytesRead === this.#bytesSeen && !this.#ws.isPaused;
    this.#silentBeats = silent ? this.#silentBeats + 1 : 0;
    this.#bytesSeen = bytesRead;
    if (this.#silentBeats >= 2) this.terminate('silent for two heartbeats');
    else if (this.#phase === 'new' && this.#beats > 1) this.close(CLOSE.timeout, 'no hello in time');
    else this.#ws.ping();
  }

  /** Asks for a sign of life and ends it where none comes within `ms`: somebody else wants its place. */
  probe(ms: number): void {
    if (this.closed || this.#probe !== undefined) return;
    const { bytesRead } = this.#socket;
    this.#ws.ping();
    this.#probe = setTimeout(() => {
      this.#probe = undefined;
      if (this.#socket.bytesRead === bytesRead && !this.#ws.isPaused) this.terminate('no sign of life');
    }, ms);
  }

  readonly #written = (): void => {
    if (!this.closed && this.#ws.bufferedAmount <= AGENT_LIMITS.unsentLow) this.#events.drained(this);
  };

  #message(data: Buffer, isBinary: boolean): void {
    if (this.closed) return;
    if (isBinary) this.#records(data);
    else if (this.#spendCredit()) this.#frame(data);
  }

  #frame(data: Buffer): void {
    if (nestsDeeperThan(MAX_DEPTH, data)) {
      this.close(CLOSE.badFrame, 'nested too deep');
      return;
    }
    const parsed = parseAgentFrame(data.toString('utf8'));
    if (!parsed.ok) {
      this.close(CLOSE.badFrame, parsed.reason);
      return;
    }
    const { frame } = parsed;
    const first = this.#phase === 'new';
    if (frame.type !== 'hello') {
      if (first) this.close(CLOSE.badFrame, `${frame.type} before hello`);
      else this.#events.frame(this, frame);
    } else if (first) {
      this.#phase = 'greeted';
      this.#events.hello(this, frame);
    } else this.close(CLOSE.badFrame, 'a second hello');
  }

  #records(bytes: Buffer): void {
    if (this.#phase !== 'open') this.close(CLOSE.badFrame, 'records before welcome');
    else if (bytes.length > AGENT_LIMITS.recordsBytes) this.close(CLOSE.tooLarge, 'records of more than 1 MiB');
    else this.#events.records(this, bytes);
  }

  /** Control frames and pings are paid from a credit that refills; records are bounded by flow control instead. */
  #spendCredit(): boolean {
    const now = performance.now();
    const refill = ((now - this.#creditAt) / 1000) * this.#framesPerSecond;
    this.#frameCredit = Math.min(this.#framesPerSecond * FRAME_BURST_S, this.#frameCredit + refill) - 1;
    this.#creditAt = now;
    if (this.#frameCredit >= 0) return true;
    this.close(CLOSE.tooManyFrames, 'too many frames');
    return false;
  }

  #end(code: number, reason: string): void {
    if (this.closed) return;
    this.#phase = 'closed';
    clearTimeout(this.#probe);
    this.#events.closed(this, { code, reason });
  }
}

/** RFC 6455 §5.5 leaves 123 bytes for a reason, and ours name ids of the agent's choosing. A character cut in two becomes U+FFFD, of 3. */
function shortened(reason: string): string {
  const bytes = Buffer.from(reason);
  return bytes.length <= 123 ? reason : bytes.toString('utf8', 0, 120);
}
