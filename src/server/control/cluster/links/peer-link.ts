/** A connection to another server of the cluster, from its hello to its close. It may be lost at any time. */
import type { Socket } from 'node:net';
import { encodePeerFrame, type PeerFrame, PeerFrameReader, type PeerHello } from './frames.ts';

/** Interval of signs of life, and the silence after which the connection counts as lost, ms. */
const PING_INTERVAL_MS = 1000;
const MAX_SILENCE_MS = 4000;
/** The other side does not read: the connection is given up. */
const MAX_UNSENT_BYTES = 16 * 1024 * 1024;

export interface PeerLinkListener {
  /** The first message. Undefined: it is refused. Otherwise the hello to answer with, if none was sent yet. */
  greeted(hello: PeerHello): { answer?: PeerHello } | undefined;
  /** Both sides have accepted each other: messages may be sent. */
  opened(link: PeerLink): void;
  received(link: PeerLink, frame: PeerFrame): void;
  /** Called once. */
  closed(link: PeerLink): void;
}

/** One connection. Owns its socket and its timer. */
export class PeerLink {
  /** Machines whose agents are connected to the other server, as it says. */
  readonly places = new Set<string>();
  readonly #socket: Socket;
  readonly #listener: PeerLinkListener;
  readonly #reader = new PeerFrameReader();
  readonly #timer: NodeJS.Timeout;
  #replicaId: number | undefined;
  #outgoing = '';
  #heardAt = performance.now();
  #closed = false;

  constructor(socket: Socket, listener: PeerLinkListener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.setEncoding('utf8').setNoDelay(true);
    socket.on('data', (text: string) => this.#read(text));
    socket.once('error', () => this.close());
    socket.once('close', () => this.close());
    this.#timer = setInterval(() => this.#beat(), PING_INTERVAL_MS).unref();
  }

  /** The other server, by its id in the database. Undefined before its hello. */
  get replicaId(): number | undefined {
    return this.#replicaId;
  }

  /** Sends soon, together with other messages of this turn. False if it cannot be sent. */
  send(frame: PeerFrame): boolean {
    const line = this.#closed ? undefined : encodePeerFrame(frame);
    if (line === undefined) return false;
    if (this.#outgoing === '') setImmediate(() => this.#flush());
    this.#outgoing += line;
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#socket.destroy();
    this.#listener.closed(this);
  }

  #flush(): void {
    if (this.#closed) return;
    this.#socket.write(this.#outgoing);
    this.#outgoing = '';
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) this.close();
  }

  #beat(): void {
    if (performance.now() - this.#heardAt > MAX_SILENCE_MS) this.close();
    else this.send({ type: 'ping' });
  }

  #read(text: string): void {
    this.#heardAt = performance.now();
    try {
      for (const frame of this.#reader.read(text)) if (!this.#closed) this.#take(frame);
    } catch {
      this.close();
    }
  }

  #take(frame: PeerFrame): void {
    if (this.#replicaId !== undefined) {
      if (frame.type !== 'ping') this.#listener.received(this, frame);
      return;
    }
    if (frame.type === 'ping') return;
    const accepted = frame.type === 'hello' ? this.#listener.greeted(frame) : undefined;
    if (accepted === undefined || frame.type !== 'hello') {
      this.close();
      return;
    }
    if (accepted.answer !== undefined) this.send(accepted.answer);
    this.#replicaId = frame.from;
    this.#listener.opened(this);
  }
}
