/** A TCP load balancer that simulates faults of the network. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Passes each connection to the next port that accepts it. With one port it is a proxy. */
export class Balancer {
  readonly #ports: readonly number[];
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #turn = 0;
  #frozen = false;

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#listener = createServer({ noDelay: true }, (client) => this.#hand(client, 0));
  }

  static async start(ports: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports);
    await new Promise<void>((resolve) => balancer.#listener.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends all connections, like a TCP reset. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Stops passing bytes but keeps the connections open, as if all packets were lost. New connections are accepted and hang. */
  freeze(): void {
    this.#frozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  thaw(): void {
    this.#frozen = false;
    // Bytes without a receiver would be lost otherwise.
    for (const socket of this.#sockets) if (socket.listenerCount('data') > 0) socket.resume();
  }

  /** Loses all further bytes of the present connections, in both directions, and tells no side. New connections are not affected. */
  drop(): void {
    for (const socket of this.#sockets) socket.removeAllListeners('data').removeAllListeners('end').resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #hand(client: Socket, tried: number): void {
    this.#turn += 1;
    const port = this.#ports[this.#turn % this.#ports.length];
    if (port === undefined || tried > this.#ports.length) {
      client.destroy();
      return;
    }
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#track(client).on('close', () => upstream.destroy());
    this.#track(upstream);
    upstream.once('connect', () => {
      upstream.on('close', () => client.destroy());
      this.#forward(client, upstream);
      this.#forward(upstream, client);
    });
    upstream.once('error', () => {
      if (upstream.pending || upstream.bytesRead === 0) this.#hand(client, tried + 1);
      else client.destroy();
    });
  }

  #forward(from: Socket, to: Socket): void {
    from.on('data', (bytes: Buffer) => {
      if (to.destroyed || to.write(bytes)) return;
      from.pause();
      to.once('drain', () => this.#frozen || from.resume());
    });
    from.on('end', () => to.end());
    if (this.#frozen) from.pause();
  }

  #track(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
  }
}
