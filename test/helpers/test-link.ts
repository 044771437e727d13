/** The link's side of the runner socket. The test plays the server. */
import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { LinkToRunner, RunnerToLink } from '../../src/agent/runner-socket/frames.ts';
import { encodeSocketFrame, FROM_RUNNER, MessageDecoder } from '../../src/agent/runner-socket/messages.ts';
import type { Start, Welcome } from '../../src/core/protocol.ts';
import { decodeRecord, type EndedPayload, type RawRecord, REPORT_KIND } from '../../src/core/report.ts';

type State = Extract<RunnerToLink, { type: 'state' }>;

/** The reports of one execution. */
export interface Reported {
  records: RawRecord[];
  started: boolean;
  stdout: Buffer;
  stderr: Buffer;
  ended: EndedPayload;
}

export class TestLink {
  readonly frames: RunnerToLink[] = [];
  readonly records = new Map<string, RawRecord[]>();
  /** Called with the records of each message when it arrives. */
  onRecords: ((records: RawRecord[]) => void) | undefined;
  /** Whether the link acknowledges each report at once. */
  autoAck = true;
  state: State | undefined;
  closed = false;
  readonly #socket: Socket;
  readonly #decoder = new MessageDecoder(FROM_RUNNER);
  #waiters: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Opens the socket without attaching. */
  static async open(directory: string): Promise<TestLink> {
    const fd = openSync(directory, 'r');
    const socket = connect({ path: `/proc/self/fd/${fd}/runner.sock` });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', resolve).once('error', reject);
    await promise.finally(() => closeSync(fd));
    return new TestLink(socket);
  }

  /** Opens the socket and attaches. Retries until the runner has noticed that the previous link is closed. */
  static async attached(directory: string, maxConcurrency = 64): Promise<TestLink> {
    const link = await TestLink.open(directory);
    link.send({ type: 'attach', channel: 1, max_concurrency: maxConcurrency });
    await link.until('an answer', () => link.frames.length > 0);
    if (link.frames[0]?.type === 'attach_refused') {
      await link.close();
      await delay(20);
      return TestLink.attached(directory, maxConcurrency);
    }
    await link.frame('attached');
    return link;
  }

  /** Attaches, requests the state and sends the welcome with these acks (default: none). */
  static async attach(
    directory: string,
    welcome: Partial<Welcome> | 'forget everything' = {},
    maxConcurrency?: number,
  ): Promise<TestLink> {
    const link = await TestLink.attached(directory, maxConcurrency);
    const { held } = await link.prepare();
    link.welcome(welcome === 'forget everything' ? { forget: held.map(({ execution_id }) => execution_id) } : welcome);
    return link;
  }

  send(frame: LinkToRunner, attachment?: Buffer): void {
    this.#socket.write(encodeSocketFrame(frame, attachment));
  }

  async prepare(): Promise<State> {
    this.send({ type: 'prepare' });
    const before = this.state;
    await this.until('state', () => this.state !== before);
    if (this.state === undefined) throw new Error('no state');
    return this.state;
  }

  welcome(welcome: Partial<Welcome> = {}): void {
    this.send({
      type: 'welcome',
      protocol: 1,
      version: 'test',
      heartbeat_ms: 1000,
      window_bytes: 8 << 20,
      execution_window_bytes: 2 << 20,
      acks: [],
      forget: [],
      ...welcome,
    });
  }

  /** Sends a start with the next dispatch number. */
  start(executionId: string, command: string[], more: Partial<Start> = {}, stdin?: Buffer): void {
    const state = this.state;
    if (state === undefined) throw new Error('no state yet');
    state.last_dispatch_number += 1;
    const start: Start = {
      type: 'start',
      execution_id: executionId,
      runner_instance: state.runner_instance,
      dispatch_number: state.last_dispatch_number,
      command,
      max_output_bytes: 16 << 20,
      stdin: stdin === undefined ? 'none' : 'fixed',
      grace_ms: 5000,
      ...more,
    };
    this.send(start, stdin);
  }

  /** Starts an execution and waits for its end. */
  async run(executionId: string, command: string[], more: Partial<Start> = {}, stdin?: Buffer): Promise<Reported> {
    this.start(executionId, command, more, stdin);
    return this.ended(executionId);
  }

  /** Waits until the end of `executionId` has been reported. */
  async ended(executionId: string): Promise<Reported> {
    await this.until(`the end of ${executionId}`, () => this.#of(executionId).at(-1)?.kind === REPORT_KIND.ended);
    return this.reported(executionId);
  }

  /** Waits until the start has been reported. Returns the pid. */
  async started(executionId: string): Promise<number> {
    await this.until(`the start of ${executionId}`, () => this.#of(executionId).length > 0);
    const first = this.#of(executionId)[0];
    if (first?.kind !== REPORT_KIND.started) throw new Error(`not started: ${first?.payload}`);
    return (JSON.parse(first.payload.toString()) as { pid: number }).pid;
  }

  /** Waits until stdout contains `text`. */
  async printed(executionId: string, text: string): Promise<void> {
    await this.until(`${text} from ${executionId}`, () => this.output(executionId, 'stdout').includes(text));
  }

  output(executionId: string, stream: 'stdout' | 'stderr'): Buffer {
    const chunks = this.#of(executionId).filter(({ kind }) => kind === REPORT_KIND[stream]);
    return Buffer.concat(chunks.map(({ payload }) => payload));
  }

  reported(executionId: string): Reported {
    const records = this.#of(executionId);
    const end = records.find(({ kind }) => kind === REPORT_KIND.ended);
    return {
      records,
      started: records.some(({ kind }) => kind === REPORT_KIND.started),
      stdout: this.output(executionId, 'stdout'),
      stderr: this.output(executionId, 'stderr'),
      ended: JSON.parse(end?.payload.toString() ?? '{}') as EndedPayload,
    };
  }

  /** Returns the next frame of this type, also one that has already arrived. */
  async frame<T extends RunnerToLink['type']>(type: T): Promise<Extract<RunnerToLink, { type: T }>> {
    const index = () => this.frames.findIndex((frame) => frame.type === type);
    await this.until(`a ${type} frame`, () => index() >= 0);
    const [frame] = this.frames.splice(index(), 1);
    return frame as Extract<RunnerToLink, { type: T }>;
  }

  /** Waits until `condition` is true. It is checked each time that data arrives. */
  async until(what: string, condition: () => boolean, deadlineMs = 45_000): Promise<void> {
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(() => timeout.reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs);
    try {
      while (!condition()) {
        if (this.closed) throw new Error(`the runner hung up before ${what}`);
        await Promise.race([new Promise<void>((resolve) => this.#waiters.push(resolve)), timeout.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the socket and waits until it is closed. */
  async close(): Promise<void> {
    this.#socket.destroy();
    while (!this.closed) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Stops reading, like a link that hangs. */
  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  #of(executionId: string): RawRecord[] {
    return this.records.get(executionId) ?? [];
  }

  #received(chunk: Buffer): void {
    for (const message of this.#decoder.push(chunk)) {
      if (message.kind === 'records') this.#records(message.bytes);
      else if (message.frame.type === 'state') this.state = message.frame;
      else this.frames.push(message.frame);
    }
    this.#wake();
  }

  #records(bytes: Buffer): void {
    const records: RawRecord[] = [];
    for (let at = 0; at < bytes.length; ) {
      const decoded = decodeRecord(bytes, at);
      if (!decoded.ok) throw new Error(`a record that is ${decoded.reason}`);
      at += decoded.bytes;
      records.push(decoded.record);
      this.#keep(decoded.record);
    }
    this.onRecords?.(records);
    const last = new Map(records.map(({ executionId, number }) => [executionId, number]));
    if (this.autoAck) this.send({ type: 'ack', acks: [...last] });
  }

  /** Adds a record like the store does: repeated numbers are dropped, and a gap is an error. */
  #keep(record: RawRecord): void {
    const known = this.#of(record.executionId);
    const last = known.at(-1)?.number;
    if (last !== undefined && record.number <= last) return;
    if (last !== undefined && record.number !== last + 1) throw new Error(`record ${record.number} behind ${last}`);
    this.records.set(record.executionId, [...known, { ...record, payload: Buffer.from(record.payload) }]);
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
