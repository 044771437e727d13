import { chmodSync, closeSync, lstatSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Attach, LinkToRunner, RunnerToLink } from '../runner-socket/frames.ts';
import { encodeSocketFrame, FROM_LINK, MessageDecoder, recordsHeader } from '../runner-socket/messages.ts';

const SOCKET_NAME = 'runner.sock';
const CHANNEL_VERSION = 1;
/** Time for which closing waits for a link that does not read, ms. */
const FAREWELL_MS = 500;
/** Unread bytes above which a link that sends and does not read is disconnected. */
const MAX_UNREAD_BYTES = 8 << 20;

/** Below this size one copy is cheaper than one more write. */
const COPY_BELOW_BYTES = 64 * 1024;

export interface LinkHandlers {
  /** Called when a link attaches. Returns the answer to it. */
  attached(attach: Attach): RunnerToLink;
  frame(frame: Exclude<LinkToRunner, Attach>, attachment: Buffer): void;
  /** Called when the socket has room again. */
  drained(): void;
  /** Called when the link has disconnected. */
  detached(): void;
}

/** The socket that links attach to, one at a time. */
export class LinkSocket {
  readonly #handlers: LinkHandlers;
  readonly #directory: string;
  #server: Server;
  /** Device and inode of the socket that this listens on. */
  #listening: string | undefined;
  #closing = false;
  #renewing = false;
  readonly #sockets = new Set<Socket>();
  #directoryFd: number | undefined;
  #link: Socket | undefined;

  constructor(directory: string, handlers: LinkHandlers) {
    this.#directory = directory;
    this.#handlers = handlers;
    this.#server = createServer((socket) => this.#connected(socket));
  }

  get #file(): string {
    return join(this.#directory, SOCKET_NAME);
  }

  get attached(): boolean {
    return this.#link !== undefined;
  }

  /** Listens on a new socket if the old one was removed or replaced. An attached link stays. After a failure it can be tried again. */
  async listenAnew(): Promise<void> {
    if (this.#closing || this.#renewing || this.#listening === undefined) return;
    if (identityOf(this.#file) === this.#listening) return;
    this.#renewing = true;
    try {
      // The old server removes its socket now, before there is a new one, and ends when the earlier links have disconnected.
      this.#server.close();
      this.#server = createServer((socket) => this.#connected(socket));
      await this.listen();
    } finally {
      this.#renewing = false;
    }
  }

  /** Listens. Whatever is in the place of the socket is removed: it is of a runner that has ended, or of nobody. */
  async listen(): Promise<void> {
    rmSync(this.#file, { force: true, recursive: true });
    const umask = process.umask(0o177);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    try {
      this.#server.once('error', reject).listen({ path: this.#path() }, resolve);
    } finally {
      process.umask(umask);
    }
    await promise;
    chmodSync(this.#file, 0o600);
    this.#listening = identityOf(this.#file);
  }

  /** Disconnects the link, which then attaches again. */
  hangUp(): void {
    this.#link?.destroy();
  }

  send(frame: RunnerToLink): void {
    if (this.#link !== undefined) send(this.#link, encodeSocketFrame(frame));
  }

  /** Sends whole records as one message. False when the socket is full, until `drained`. */
  sendRecords(records: readonly Buffer[]): boolean {
    const link = this.#link;
    if (link === undefined) return false;
    const bytes = records.reduce((sum, record) => sum + record.length, 0);
    if (bytes < COPY_BELOW_BYTES) return send(link, Buffer.concat([recordsHeader(bytes), ...records]));
    link.cork();
    link.write(recordsHeader(bytes));
    for (const record of records) link.write(record);
    link.uncork();
    return !link.writableNeedDrain;
  }

  /** Sends the written bytes, disconnects and stops listening, within a bounded time. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    for (const socket of this.#sockets) socket.end(() => socket.destroy());
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, FAREWELL_MS);
    await closed.promise;
    clearTimeout(timer);
    if (this.#directoryFd !== undefined) closeSync(this.#directoryFd);
  }

  /** Returns a short path through the directory's descriptor: a socket address has at most 107 bytes. */
  #path(): string {
    if (process.platform !== 'linux') return join(this.#directory, SOCKET_NAME);
    this.#directoryFd ??= openSync(this.#directory, 'r');
    return `/proc/self/fd/${this.#directoryFd}/${SOCKET_NAME}`;
  }

  #connected(socket: Socket): void {
    const decoder = new MessageDecoder(FROM_LINK);
    this.#sockets.add(socket);
    socket.on('error', () => {}); // `close` follows
    socket.on('drain', () => this.#handlers.drained());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#link !== socket) return;
      this.#link = undefined;
      this.#handlers.detached();
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of decoder.push(chunk)) {
          if (message.kind === 'frame') this.#received(socket, message.frame, message.attachment);
        }
      } catch {
        socket.destroy(); // The peer is faulty. The reports are in the journal.
      }
    });
  }

  #received(socket: Socket, frame: LinkToRunner, attachment: Buffer): void {
    if (frame.type === 'attach') this.#attach(socket, frame);
    else if (socket === this.#link) this.#handlers.frame(frame, attachment);
    else throw new Error(`${frame.type} before attach`);
  }

  #attach(socket: Socket, attach: Attach): void {
    if (socket === this.#link) throw new Error('a second attach');
    const reason =
      attach.channel !== CHANNEL_VERSION
        ? `this runner speaks version ${CHANNEL_VERSION} of the channel`
        : 'another link is attached';
    if (this.#link !== undefined || attach.channel !== CHANNEL_VERSION) {
      socket.end(encodeSocketFrame({ type: 'attach_refused', reason }));
      return;
    }
    this.#link = socket;
    send(socket, encodeSocketFrame(this.#handlers.attached(attach)));
  }
}

/** A symbolic link has an identity of its own: it may lead to itself. */
function identityOf(file: string): string | undefined {
  const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}

function send(socket: Socket, bytes: Buffer): boolean {
  if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
  return socket.writable && socket.write(bytes);
}
