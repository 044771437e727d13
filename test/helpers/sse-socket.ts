/** Reads server-sent events from a TCP socket. A test can open a thousand, and can pause reading. */
import { connect, type Socket } from 'node:net';

const EVENT = /^id: (\d+)$/gm;

export class SseSocket {
  /** The ids of the received events, in order. */
  readonly ids: number[] = [];
  /** The number of bytes received, including headers and framing. */
  bytes = 0;
  /** Settles when the server has ended the stream with the last chunk. Rejects if the connection closes before. */
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
        // A chunked answer ends with an empty chunk. Without it the connection broke.
        if (this.#rest.endsWith('\r\n0\r\n\r\n')) resolve();
        else reject(new Error(`cut short behind event ${this.ids.at(-1)}`));
      });
    });
    // A test awaits `ended` later, or never if it destroys the socket.
    this.ended.catch(() => undefined);
  }

  /** Waits until `events` events have arrived. */
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
