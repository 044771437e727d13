/** A TCP relay in front of a server that counts bytes and can stall one connection after a number of bytes. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export class StallingRelay {
  /** The number of bytes relayed in both directions since the last `reset`. */
  carried = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #limit = Number.POSITIVE_INFINITY;
  #stalled = Promise.withResolvers<void>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(url: string): Promise<StallingRelay> {
    const server = createServer();
    const relay = new StallingRelay(server);
    const port = Number(new URL(url).port);
    server.on('connection', (client) => {
      const upstream = connect(port, '127.0.0.1');
      relay.#pass(client, upstream);
      relay.#pass(upstream, client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Stalls the next connection that has relayed `bytes` in one direction, but no other. Settles when it stalls. */
  async stallAfter(bytes: number): Promise<void> {
    this.#limit = bytes;
    this.#stalled = Promise.withResolvers();
    await this.#stalled.promise;
  }

  reset(): void {
    this.carried = 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    let passed = 0;
    from.on('data', (bytes: Buffer) => {
      passed += bytes.length;
      this.carried += bytes.length;
      to.write(bytes);
      if (passed < this.#limit) return;
      from.pause();
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
