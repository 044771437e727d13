/** A TCP relay in front of a server that counts bytes and can stall one connection once a number of bytes was relayed. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class StallingRelay {
  /** The number of bytes relayed in both directions since the last `reset`. */
  carried = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #limit = Number.POSITIVE_INFINITY;
  /** The numbers of bytes relayed to the server and to the clients since the last `stallAfter`. */
  readonly #passed = { request: 0, answer: 0 };
  #stalled = Promise.withResolvers<void>();
  #paused: Socket | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(url: string): Promise<StallingRelay> {
    const server = createServer();
    const relay = new StallingRelay(server);
    const port = Number(new URL(url).port);
    server.on('connection', (client) => {
      const upstream = connect(port, '127.0.0.1');
      relay.#pass('request', client, upstream);
      relay.#pass('answer', upstream, client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /**
   * When all connections together have relayed `bytes` in one direction, stalls the one that relays next, but no other. Settles when it
   * stalls. A client may spread its bytes over several connections.
   */
  async stallAfter(bytes: number): Promise<void> {
    this.#limit = bytes;
    this.#passed.request = 0;
    this.#passed.answer = 0;
    this.#stalled = Promise.withResolvers();
    await this.#stalled.promise;
  }

  /** Lets the stalled connection go on, or break if its other end is gone. */
  resume(): void {
    this.#paused?.resume();
  }

  reset(): void {
    this.carried = 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #pass(direction: 'request' | 'answer', from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (bytes: Buffer) => {
      this.#passed[direction] += bytes.length;
      this.carried += bytes.length;
      to.write(bytes);
      if (this.#passed[direction] < this.#limit) return;
      from.pause();
      this.#paused = from;
      this.#limit = Number.POSITIVE_INFINITY;
      this.#stalled.resolve();
    });
    from.on('error', () => {});
    from.once('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
