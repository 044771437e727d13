/** A scripted runner for tests of the link. It listens on the runner socket. */
import { EventEmitter, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { LinkToRunner, RunnerToLink } from '../../../src/agent/runner-socket/frames.ts';
import {
  encodeSocketFrame,
  FROM_LINK,
  MessageDecoder,
  recordsHeader,
} from '../../../src/agent/runner-socket/messages.ts';

export const INSTANCE = 'runner-under-test';

type Received = { frame: LinkToRunner; attachment: Buffer };

export class ScriptedRunner {
  readonly #server: Server;
  readonly #received: Received[] = [];
  readonly #arrivals = new EventEmitter();
  #link: Socket | undefined;
  /** The answer to the next attach. */
  answer: RunnerToLink = { type: 'attached', runner_instance: INSTANCE, pid: process.pid };
  /** The number of attaches so far. */
  attaches = 0;

  private constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async listen(dir: string): Promise<ScriptedRunner> {
    const runner = new ScriptedRunner();
    runner.#server.listen(join(dir, 'runner.sock'));
    await once(runner.#server, 'listening');
    return runner;
  }

  send(frame: RunnerToLink): void {
    this.#link?.write(encodeSocketFrame(frame));
  }

  /** False if the link accepts no more bytes. */
  sendRecords(bytes: Buffer): boolean {
    this.#link?.write(recordsHeader(bytes.length));
    return this.#link?.write(bytes) ?? true;
  }

  /** Stops reading from the link, like a busy runner. */
  stall(): void {
    this.#link?.pause();
  }

  resume(): void {
    this.#link?.resume();
  }

  async next(): Promise<Received> {
    while (this.#received.length === 0) await once(this.#arrivals, 'frame');
    return this.#received.shift() as Received;
  }

  /** Waits for the next frame of this type. Earlier frames are dropped. */
  async nextOf<T extends LinkToRunner['type']>(type: T): Promise<Extract<LinkToRunner, { type: T }>> {
    for (;;) {
      const { frame } = await this.next();
      if (frame.type === type) return frame as Extract<LinkToRunner, { type: T }>;
    }
  }

  /** Answers all later `prepare` frames. */
  sayState(): void {
    this.send({
      type: 'state',
      runner_instance: INSTANCE,
      boot_id: 'boot',
      last_dispatch_number: 7,
      clock_ms: 1,
      held: [],
    });
  }

  /** Closes the connection, like a runner that dies. */
  hangUp(): void {
    this.#link?.destroy();
  }

  async close(): Promise<void> {
    this.#link?.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    const decoder = new MessageDecoder(FROM_LINK);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const message of decoder.push(chunk)) {
        if (message.kind !== 'frame') throw new Error('records from a link');
        const { frame, attachment } = message;
        if (frame.type === 'attach') {
          this.attaches += 1;
          this.#link = socket;
          socket.write(encodeSocketFrame(this.answer));
        }
        this.#received.push({ frame, attachment });
        this.#arrivals.emit('frame');
      }
    });
  }
}
