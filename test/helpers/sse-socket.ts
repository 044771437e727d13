/** A reader of server-sent events on a bare socket: cheap enough for a thousand of them, and able to stop reading. */
import { connect, type Socket } from 'node:net';

const EVENT = /^id: (\d+)$/gm;

export class SseSocket {
  /** Ids of the received events, in order. */
  readonly ids: number[] = [];
  /** Bytes received, including head and framing. */
  bytes = 0;
  /** Settles when the server has closed the stream correctly, after the last chunk. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Set<() => void>();
  #rest = '';

  constructor(url: string, path: string, key: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: test\r\nx-api-key: ${key}\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n`,
    );
    this.#socket.on('data', (text: string) => this.#take(text));
    this.ended = new Promise((resolve, reject) => {
      this.#socket.on('error', reject);
      this.#socket.on('close', () => {
        // The last chunk of a chunked answer is empty; without it the stream was cut.
        if (this.#rest.endsWith('\r\n0\r\n\r\n')) resolve();
        else reject(new Error(`cut short behind event ${this.ids.at(-1)}`));
      });
    });
    // Read later, or never if the test destroys the socket.
    this.ended.catch(() => undefined);
  }

  /** Settles when this many events have arrived. */
  async until(events: number): Promise<void> {
    while (this.ids.length < events) await Promise.race([this.#more(), this.ended]);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.bytes += text.length;
    const whole = this.#rest + text;
    const end = whole.lastIndexOf('\n\n') + 2;
    for (const [, id] of whole.slice(0, end).matchAll(EVENT)) this.ids.push(Number(id));
    this.#rest = end < 2 ? whole : whole.slice(end);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}
