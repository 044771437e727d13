import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import {
  type AgentFrame,
  CLOSE,
  encodeFrame,
  type Hello,
  parseServerFrame,
  type ServerFrame,
} from '../../../core/protocol.ts';
import { startHeartbeat } from '../../../node/network/heartbeat.ts';
import type { RunnerToLink, State } from '../../runner-socket/frames.ts';
import { readRefusal } from './refusal.ts';
import type { RunnerSocket } from '../../runner-socket/runner-socket.ts';

/** The cause of the end of a connection to the server. */
export type SessionEnd =
  /** The connection could not be opened. */
  | { cause: 'unreachable'; detail: string }
  /** The server answered the upgrade with an HTTP status. */
  | { cause: 'refused'; status: number; detail: string }
  /** The connection was open. `linkedMs`: ms since the welcome; 0 without one. */
  | { cause: 'closed'; code: number; detail: string; linkedMs: number }
  | { cause: 'runner_gone' }
  /** No runner could be started. */
  | { cause: 'no_runner'; detail: string }
  | { cause: 'aborted' };

export interface SessionOptions {
  /** Starts to dial. Its listeners are in place before any event can occur. */
  dial: () => WebSocket;
  runner: RunnerSocket;
  /** The parts of hello that do not come from the runner. */
  hello: Pick<Hello, 'protocol' | 'version' | 'max_concurrency' | 'facts' | 'host' | 'labels'>;
  /** Called once the server has sent welcome. */
  linked: () => void;
  /** Called if the server requests a new credential, with the join token for it. */
  rotate: (joinToken: string) => void;
  /** Heartbeat of the connection: the next call follows within `ms`. */
  expectWithin: (ms: number) => void;
  signal: AbortSignal;
}

/** Frames of the runner that pass to the server unchanged. */
const TO_SERVER: ReadonlySet<string> = new Set<AgentFrame['type']>(['capacity', 'stdin_ack', 'usage']);
/** From opening the WebSocket to the server's welcome. */
const WELCOME_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** Unsent bytes above which the link stops reading from the runner, and below which it reads again. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024;
const LOW_WATER_BYTES = 1024 * 1024;
const NORMAL_CLOSURE = 1000;
/** Number of missed heartbeats after which a connection ends. It allows for a busy machine. */
const MISSED_BEATS = 4;
/** A close frame holds 123 bytes of reason. Our reasons are ASCII. */
const MAX_REASON_CHARACTERS = 120;

/**
 * Runs one connection from dialling to its end: prepare → state → hello → welcome, then forwards everything in both directions, unread. Before
 * the welcome and after the end, records of the runner stay in its journal.
 */
export function runSession(options: SessionOptions): Promise<SessionEnd> {
  return new Promise((resolve) => new Session(options, resolve).begin());
}

class Session {
  readonly #options: SessionOptions;
  readonly #ws: WebSocket;
  readonly #runner: RunnerSocket;
  readonly #resolve: (end: SessionEnd) => void;
  #socket: Pick<Socket, 'bytesRead'> = { bytesRead: 0 };
  #phase: 'dialling' | 'preparing' | 'greeting' | 'linked' | 'ended' = 'dialling';
  #linkedAt = 0;
  #welcomeTimer: NodeJS.Timeout | undefined;
  #stopHeartbeat = () => {};
  #fault = '';

  constructor(options: SessionOptions, resolve: (end: SessionEnd) => void) {
    this.#options = options;
    this.#ws = options.dial();
    this.#runner = options.runner;
    this.#resolve = resolve;
  }

  begin(): void {
    const ws = this.#ws;
    ws.on('upgrade', (response) => {
      this.#socket = response.socket;
    });
    ws.on('unexpected-response', (_request, response) => {
      void readRefusal(response).then((refusal) => {
        this.#end({ cause: 'refused', ...refusal });
        ws.terminate();
      });
    });
    ws.on('error', (error) => this.#failed(error));
    ws.on('open', () => this.#prepare());
    ws.on('message', (data, isBinary) => this.#fromServer(data as Buffer, isBinary));
    ws.on('close', (code, reason) => this.#closed(code, reason.toString('utf8')));
    this.#runner.on('frame', this.#fromRunner).on('records', this.#records);
    this.#runner.on('drain', this.#runnerDrained).on('close', this.#runnerGone);
    this.#options.signal.addEventListener('abort', this.#aborted);
    if (this.#runner.closed) this.#runnerGone();
    else if (this.#options.signal.aborted) this.#aborted();
  }

  #prepare(): void {
    this.#phase = 'preparing';
    this.#welcomeTimer = setTimeout(() => this.#terminate('no welcome from the server'), WELCOME_TIMEOUT_MS);
    this.#runner.send({ type: 'prepare' });
  }

  readonly #fromRunner = (frame: RunnerToLink): void => {
    if (frame.type === 'state' && this.#phase === 'preparing') this.#greet(frame);
    else if (TO_SERVER.has(frame.type) && this.#phase === 'linked') {
      this.#ws.send(encodeFrame(frame as AgentFrame));
    }
  };

  #greet({ type: _, ...state }: State): void {
    this.#phase = 'greeting';
    this.#ws.send(encodeFrame({ type: 'hello', ...this.#options.hello, ...state }));
  }

  #fromServer(data: Buffer, isBinary: boolean): void {
    if (this.#phase === 'ended') return;
    const parsed = parseServerFrame(isBinary ? data : data.toString('utf8'));
    if (!parsed.ok) this.#badFrame(parsed.reason);
    else if (!this.#isLegal(parsed.frame)) this.#badFrame(`${parsed.frame.type} out of turn`);
    else if (parsed.frame.type === 'rotate') this.#options.rotate(parsed.frame.join_token);
    else {
      if (!this.#runner.send(parsed.frame, parsed.attachment)) this.#ws.pause();
      if (parsed.frame.type === 'welcome') this.#welcomed(parsed.frame);
    }
  }

  #isLegal(frame: ServerFrame): boolean {
    return this.#phase === (frame.type === 'welcome' ? 'greeting' : 'linked');
  }

  #welcomed({ heartbeat_ms }: Extract<ServerFrame, { type: 'welcome' }>): void {
    clearTimeout(this.#welcomeTimer);
    this.#phase = 'linked';
    this.#linkedAt = performance.now();
    if (this.#runner.capacity?.accepting === false) this.#ws.send(encodeFrame(this.#runner.capacity));
    const beat = () => this.#options.expectWithin(MISSED_BEATS * heartbeat_ms);
    beat();
    const silent = () => this.#terminate('silence for two heartbeats');
    this.#stopHeartbeat = startHeartbeat(this.#ws, this.#socket, heartbeat_ms, silent, beat);
    this.#options.linked();
  }

  readonly #records = (bytes: Buffer): void => {
    if (this.#phase !== 'linked') {
      this.#runner.giveBack(bytes);
      return;
    }
    this.#ws.send(bytes, { binary: true }, () => this.#sent(bytes));
    if (this.#ws.bufferedAmount > HIGH_WATER_BYTES) this.#runner.pause();
  };

  readonly #sent = (bytes: Buffer): void => {
    this.#runner.giveBack(bytes);
    if (this.#phase === 'linked' && this.#ws.bufferedAmount <= LOW_WATER_BYTES) this.#runner.resume();
  };

  readonly #runnerDrained = (): void => {
    if (this.#ws.isPaused) this.#ws.resume();
  };

  readonly #runnerGone = (): void => {
    this.#end({ cause: 'runner_gone' });
    this.#close(NORMAL_CLOSURE, 'the runner is gone');
  };

  readonly #aborted = (): void => {
    this.#end({ cause: 'aborted' });
    this.#close(NORMAL_CLOSURE, 'the agent leaves');
  };

  #badFrame(reason: string): void {
    this.#fault = `the server sent an illegal frame: ${reason}`;
    this.#closed(CLOSE.badFrame, this.#fault);
    this.#close(CLOSE.badFrame, reason);
  }

  #terminate(fault: string): void {
    this.#closed(CLOSE.timeout, fault);
    this.#ws.terminate();
  }

  #failed(error: Error): void {
    this.#fault ||= error.message;
    if (this.#phase === 'dialling') this.#end({ cause: 'unreachable', detail: error.message || error.name });
  }

  #closed(code: number, reason: string): void {
    const linkedMs = this.#linkedAt === 0 ? 0 : performance.now() - this.#linkedAt;
    this.#end({ cause: 'closed', code, detail: reason || this.#fault, linkedMs });
  }

  /** Closes the connection in order, and ends it if the other side does not answer. */
  #close(code: number, reason: string): void {
    this.#ws.close(code, reason.slice(0, MAX_REASON_CHARACTERS));
    if (this.#ws.isPaused) this.#ws.resume();
    const timer = setTimeout(() => this.#ws.terminate(), CLOSE_TIMEOUT_MS);
    this.#ws.once('close', () => clearTimeout(timer));
  }

  #end(end: SessionEnd): void {
    if (this.#phase === 'ended') return;
    const wasOpen = this.#phase !== 'dialling';
    this.#phase = 'ended';
    clearTimeout(this.#welcomeTimer);
    this.#stopHeartbeat();
    this.#runner.off('frame', this.#fromRunner).off('records', this.#records);
    this.#runner.off('drain', this.#runnerDrained).off('close', this.#runnerGone);
    this.#options.signal.removeEventListener('abort', this.#aborted);
    if (wasOpen) this.#runner.send({ type: 'unlinked' });
    this.#runner.resume();
    this.#resolve(end);
  }
}
