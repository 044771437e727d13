/** A proxy between agent and server that simulates faults of the network. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../helpers/free-port.ts';
import { FrameCutter } from './frames.ts';

export type Direction = 'to_server' | 'to_agent';

/** How the proxy handles a frame. `cut`: the connection closes before the frame; `truncate`: it closes after half of the frame. */
export type Verdict = 'pass' | 'repeat' | 'cut' | 'truncate';
export type Rule = (frame: Buffer, direction: Direction) => Verdict;

interface Connection {
  agent: Socket;
  server: Socket;
}

export class FaultyProxy {
  readonly port: number;
  readonly url: string;
  readonly #server: Server;
  readonly #target: number;
  readonly #open = new Set<Connection>();
  #rule: Rule = () => 'pass';
  #frozen = false;
  #delayMs = 0;
  readonly #waiting = new Map<Socket, Promise<void>>();
  /** Connections accepted so far. */
  accepted = 0;

  private constructor(port: number, target: number) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  static async start(target: number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(await freePort(), target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(proxy.port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  /** Sets the function that decides how each following frame is handled. */
  rule(rule: Rule): void {
    this.#rule = rule;
  }

  /** Ends all faults. */
  heal(): void {
    this.#rule = () => 'pass';
    this.#delayMs = 0;
    this.thaw();
  }

  /** Ends all connections, like a TCP reset. */
  cut(): void {
    for (const { agent, server } of this.#open) {
      agent.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Stops passing bytes but keeps the connections open, as if all packets were lost. New connections are accepted and hang. */
  freeze(): void {
    this.#frozen = true;
    for (const { agent, server } of this.#open) {
      agent.pause();
      server.pause();
    }
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    for (const { agent, server } of this.#open) {
      agent.resume();
      server.resume();
    }
  }

  /** Delays all frames by `ms`. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Sends bytes to each connected agent as if they came from the server. */
  inject(frame: Buffer): void {
    for (const { agent } of this.#open) agent.write(frame);
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(agent: Socket): void {
    this.accepted += 1;
    const server = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const connection = { agent, server };
    this.#open.add(connection);
    const over = () => {
      this.#open.delete(connection);
      agent.destroy();
      server.destroy();
    };
    for (const socket of [agent, server]) socket.on('error', over).on('close', over);
    this.#forward(agent, server, 'to_server');
    this.#forward(server, agent, 'to_agent');
    if (this.#frozen) {
      agent.pause();
      server.pause();
    }
  }

  #forward(from: Socket, to: Socket, direction: Direction): void {
    const cutter = new FrameCutter();
    let head: Buffer | undefined = Buffer.alloc(0);
    from.on('data', (chunk: Buffer) => {
      let bytes = chunk;
      if (head !== undefined) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        const upgrade = /^upgrade: *websocket/im.test(head.toString('latin1', 0, end));
        if (!upgrade) return this.#send(to, takeAll());
        this.#send(to, head.subarray(0, end + 4));
        bytes = head.subarray(end + 4);
        head = undefined;
      }
      for (const frame of cutter.push(bytes)) this.#judge(to, frame, direction);
    });

    function takeAll(): Buffer {
      const all = head ?? Buffer.alloc(0);
      head = Buffer.alloc(0);
      return all;
    }
  }

  #judge(to: Socket, frame: Buffer, direction: Direction): void {
    if (to.destroyed) return;
    const verdict = this.#rule(frame, direction);
    if (verdict === 'cut') {
      this.cut();
      return;
    }
    if (verdict === 'truncate') {
      to.write(frame.subarray(0, Math.ceil(frame.length / 2)), () => this.cut());
      return;
    }
    this.#send(to, frame);
    if (verdict === 'repeat') this.#send(to, frame);
  }

  /** Sends after the delay. The order is kept even if the delay changes: a waiting frame delays all later frames. */
  #send(to: Socket, bytes: Buffer): void {
    const waiting = this.#waiting.get(to);
    if (this.#delayMs === 0 && waiting === undefined) {
      to.write(bytes);
      return;
    }
    const turn = Promise.all([waiting, delay(this.#delayMs)]).then(() => {
      if (!to.destroyed) to.write(bytes);
      if (this.#waiting.get(to) === turn) this.#waiting.delete(to);
    });
    this.#waiting.set(to, turn);
  }
}
