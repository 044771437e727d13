/** The stream of a terminal in a browser: connects with a ticket, and again whenever the connection breaks, until the shell has ended. */
import type { TerminalWire } from '../../api/terminal.ts';
import { backoffMs, pause } from '../../client/http/backoff.ts';
import { isRetryable } from '../../client/http/errors.ts';
import { transport } from '../data/client.ts';

const RECONNECT = { firstMs: 250, maxMs: 5000 };
const MAX_UNSENT_CHARS = 64 * 1024;
/** The close code after which nothing follows. */
const NORMAL = 1000;

export type StreamState =
  | { state: 'connecting' | 'open' | 'away' }
  | { state: 'ended'; reason: string }
  | { state: 'failed'; error: unknown };

export interface StreamListener {
  /** The scrollback follows: clear the screen. */
  onStart: () => void;
  onOutput: (bytes: Uint8Array) => void;
  onState: (state: StreamState) => void;
}

/** A connection of the page to one terminal. */
export class TerminalStream {
  readonly #path: string;
  readonly #listener: StreamListener;
  readonly #abort = new AbortController();
  #socket: WebSocket | undefined;
  #unsent = '';
  #size: { width: number; height: number } | undefined;

  /** `path` of the terminal in the API. */
  constructor(path: string, listener: StreamListener) {
    this.#path = path;
    this.#listener = listener;
    void this.#run();
  }

  /** Input typed without a connection waits for the next one. */
  send(text: string): void {
    this.#unsent = (this.#unsent + text).slice(0, MAX_UNSENT_CHARS);
    this.#flush();
  }

  #flush(): void {
    if (this.#unsent === '' || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(new TextEncoder().encode(this.#unsent));
    this.#unsent = '';
  }

  resize(width: number, height: number): void {
    this.#size = { width, height };
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ type: 'resize', width, height }));
    }
  }

  /** Disconnects. The shell keeps running. */
  close(): void {
    this.#abort.abort();
    this.#socket?.close(NORMAL);
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        const { code, reason, opened } = await this.#connect();
        if (code === NORMAL) return this.#listener.onState({ state: 'ended', reason });
        if (opened) failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (await this.#isOver(error)) return;
      }
      this.#listener.onState({ state: 'away' });
      await pause(backoffMs(failures, RECONNECT), signal).catch(() => undefined);
    }
  }

  /** Settles when the connection is closed. */
  async #connect(): Promise<{ code: number; reason: string; opened: boolean }> {
    const { signal } = this.#abort;
    const ticket = await transport.json<{ stream_url: string }>('POST', `${this.#path}/tickets`, {
      signal,
      attempts: 1,
    });
    const socket = new WebSocket(addressOf(ticket.stream_url));
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#listener.onStart();
      this.#listener.onState({ state: 'open' });
      if (this.#size !== undefined) this.resize(this.#size.width, this.#size.height);
      this.#flush();
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.#listener.onOutput(new Uint8Array(data));
    };
    return new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => resolve({ code, reason, opened });
    });
  }

  /** Fetches a terminal once more that is refused for good: it may have ended. */
  async #isOver(error: unknown): Promise<boolean> {
    if (isRetryable(error)) return false;
    const terminal = await transport.json<TerminalWire>('GET', this.#path, { attempts: 1 }).catch(() => undefined);
    if (terminal === undefined) this.#listener.onState({ state: 'failed', error });
    else this.#listener.onState({ state: 'ended', reason: terminal.error_message ?? terminal.status });
    return true;
  }
}

/** Uses the origin of this page, whatever name the server has for itself. */
function addressOf(streamUrl: string): URL {
  const url = new URL(streamUrl, location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  url.host = location.host;
  url.searchParams.set('frames', 'binary');
  return url;
}
