/** An agent over a real WebSocket that only sends the frames and records of the test. */
import { WebSocket } from 'ws';
import {
  AGENT_PATHS,
  type AgentFrame,
  encodeFrame,
  type Hello,
  parseServerFrame,
  type ServerFrame,
} from '../../src/core/protocol.ts';
import { type EndedPayload, encodeRecord, REPORT_KIND, type ReportKind } from '../../src/core/report.ts';
import { SUCCEEDED } from './ended-payload.ts';

const TIMEOUT_MS = 30_000;

export type Received<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }> & { attachment: Buffer };

export interface Closed {
  code: number;
  reason: string;
}

/** The server refused the upgrade with an HTTP status. */
export class UpgradeRefused extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`the upgrade was answered with ${status}`);
    this.status = status;
  }
}

export const HELLO: Hello = {
  type: 'hello',
  protocol: { min: 1, max: 1 },
  version: 'scripted',
  runner_instance: 'runner-1',
  boot_id: 'boot-1',
  last_dispatch_number: 0,
  clock_ms: 0,
  max_concurrency: 64,
  facts: { vcpu: 2, memory_mib: 2048, storage_gib: 20 },
  held: [],
};

export class ScriptedAgent {
  readonly ws: WebSocket;
  /** Settles when the socket has closed. */
  readonly closed: Promise<Closed>;
  /** All received frames, in order. */
  readonly received: (ServerFrame & { attachment: Buffer })[] = [];
  #taken = 0;
  readonly #waiting = new Set<() => void>();
  readonly #numbers = new Map<string, number>();

  private constructor(ws: WebSocket) {
    this.ws = ws;
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString('utf8') });
        this.#arrived();
      });
    });
    ws.on('message', (data: Buffer, isBinary) => {
      const parsed = parseServerFrame(isBinary ? data : data.toString('utf8'));
      if (!parsed.ok) throw new Error(`the server sent no frame: ${parsed.reason}`);
      this.received.push({ ...parsed.frame, attachment: parsed.attachment });
      this.#arrived();
    });
  }

  /** Opens the WebSocket without sending a hello. Rejects with UpgradeRefused. */
  static open(url: string, credential: string): Promise<ScriptedAgent> {
    const target = `${url.replace(/^http/, 'ws')}${AGENT_PATHS.link}`;
    const ws = new WebSocket(target, { headers: { authorization: `Bearer ${credential}` }, perMessageDeflate: false });
    const agent = new ScriptedAgent(ws);
    return new Promise((resolve, reject) => {
      ws.once('open', () => resolve(agent));
      ws.once('unexpected-response', (_request, response) => {
        response.resume();
        reject(new UpgradeRefused(response.statusCode ?? 0));
        ws.terminate();
      });
      ws.on('error', reject);
    });
  }

  /** Opens the WebSocket, sends the hello, and waits for the welcome. */
  static async join(url: string, credential: string, hello: Partial<Hello> = {}): Promise<ScriptedAgent> {
    const agent = await ScriptedAgent.open(url, credential);
    agent.hello(hello);
    await agent.next('welcome');
    return agent;
  }

  hello(hello: Partial<Hello> = {}): void {
    this.send({ ...HELLO, clock_ms: Date.now(), ...hello });
  }

  send(frame: AgentFrame): void {
    this.ws.send(encodeFrame(frame));
  }

  /** Waits for the next frame of this type and returns it. Earlier frames of other types are skipped. */
  async next<T extends ServerFrame['type']>(type: T): Promise<Received<T>> {
    const deadline = Date.now() + TIMEOUT_MS;
    for (;;) {
      while (this.#taken < this.received.length) {
        const frame = this.received[this.#taken++];
        if (frame?.type === type) return frame as Received<T>;
      }
      if (this.ws.readyState === WebSocket.CLOSED) throw new Error(`the link closed before a ${type} came`);
      await this.#more(deadline, `no ${type} came`);
    }
  }

  /** Waits until `done` returns true for all received frames. */
  async until(done: (received: readonly ServerFrame[]) => boolean): Promise<void> {
    const deadline = Date.now() + TIMEOUT_MS;
    while (!done(this.received)) await this.#more(deadline, 'the expected frames did not arrive');
  }

  /** Encodes a record. `number`: default the number after the last record of the execution. */
  record(kind: ReportKind, executionId: string, payload: Buffer | object, number?: number): Buffer {
    const recordNumber = number ?? (this.#numbers.get(executionId) ?? 0) + 1;
    this.#numbers.set(executionId, recordNumber);
    const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload));
    return encodeRecord({ kind: REPORT_KIND[kind], executionId, number: recordNumber, at: Date.now(), payload: bytes });
  }

  /** Sends records in one message. */
  report(...records: Buffer[]): void {
    this.ws.send(Buffer.concat(records));
  }

  started(executionId: string): Buffer {
    return this.record('started', executionId, { pid: 4242 });
  }

  stdout(executionId: string, text: string): Buffer {
    return this.record('stdout', executionId, Buffer.from(text));
  }

  ended(executionId: string, end: Partial<EndedPayload> = {}): Buffer {
    return this.record('ended', executionId, { ...SUCCEEDED, ...end });
  }

  /** Waits for the next start, reports an end with exit code 0, and returns the start. */
  async runNext(): Promise<Received<'start'>> {
    const start = await this.next('start');
    this.report(this.started(start.execution_id), this.ended(start.execution_id));
    return start;
  }

  close(): Promise<Closed> {
    this.ws.close();
    return this.closed;
  }

  /** Closes the connection without a close frame. */
  cut(): Promise<Closed> {
    this.ws.terminate();
    return this.closed;
  }

  #arrived(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  #more(deadline: number, otherwise: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(otherwise)), Math.max(0, deadline - Date.now()));
      this.#waiting.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
