import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Capacity } from '../../core/protocol.ts';
import { errorCode } from '../../node/error-code.ts';
import type { Attach, LinkToRunner, RunnerToLink } from './frames.ts';
import { MessageBuffers } from './message-buffers.ts';
import { encodeSocketFrame, FROM_RUNNER, MessageDecoder } from './messages.ts';
import { withShortPath } from './socket-path.ts';

/** The runner refuses this link: another link is attached, or the versions differ. */
export class AttachRefusedError extends Error {
  override readonly name = 'AttachRefusedError';
}

interface RunnerSocketEvents {
  frame: [frame: RunnerToLink];
  /** Whole records, to be forwarded unchanged. Call `giveBack` afterwards. */
  records: [bytes: Buffer];
  drain: [];
  /** Called once, as the last of the listeners. */
  close: [reason: string];
}

/** Bytes read at once from the socket. */
const READ_BYTES = 128 * 1024;

/** The link's end of the socket to a runner. */
export class RunnerSocket extends EventEmitter<RunnerSocketEvents> {
  /** Both come from the answer to `attach`. */
  instance = '';
  pid = 0;
  /** The runner's last capacity frame, which a newly connected server needs. */
  capacity: Capacity | undefined;
  closed = false;
  readonly #socket: Socket;
  readonly #buffers = new MessageBuffers();
  readonly #decoder = new MessageDecoder(FROM_RUNNER, (bytes) => this.#buffers.take(bytes));

  private constructor(path: string) {
    super();
    // All reads use this one buffer: the decoder copies.
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const callback = (bytes: number) => this.#receive(buffer.subarray(0, bytes));
    this.#socket = connect({ path, onread: { buffer, callback } });
    this.#socket.on('drain', () => this.emit('drain'));
    this.#socket.on('error', (error) => this.#end(error.message));
    this.#socket.on('close', () => this.#end('it closed the socket'));
  }

  /** Connects to the socket at `path`. Undefined if nobody listens. */
  static open(path: string): Promise<RunnerSocket | undefined> {
    return new Promise((resolve, reject) => {
      const runner = new RunnerSocket(path);
      runner.#socket.once('connect', () => resolve(runner));
      runner.#socket.once('error', (error) => {
        if (['ENOENT', 'ECONNREFUSED', 'ELOOP'].includes(errorCode(error) ?? '')) resolve(undefined);
        else reject(error);
      });
    });
  }

  /** Sends a frame. Returns false if the runner is too slow: wait for `drain` before sending more. */
  send(frame: LinkToRunner, attachment?: Buffer): boolean {
    if (this.closed) return true;
    this.#writeTogether();
    return this.#socket.write(encodeSocketFrame(frame, attachment));
  }

  /** Writes the frames of one turn of the event loop together. */
  #writeTogether(): void {
    if (this.#socket.writableCorked > 0) return;
    this.#socket.cork();
    process.nextTick(() => this.#socket.uncork());
  }

  /** Returns the memory of records that were sent or dropped. */
  giveBack(records: Buffer): void {
    this.#buffers.giveBack(records);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends the written frames, then closes the socket. The runner keeps running. */
  detach(): void {
    this.#socket.destroySoon();
  }

  #receive(chunk: Buffer): boolean {
    try {
      for (const message of this.#decoder.push(chunk)) {
        if (message.kind === 'records') this.emit('records', message.bytes);
        else this.#take(message.frame);
      }
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
    return true;
  }

  #take(frame: RunnerToLink): void {
    if (frame.type === 'capacity') this.capacity = frame;
    if (frame.type === 'attached') {
      this.instance = frame.runner_instance;
      this.pid = frame.pid;
    }
    this.emit('frame', frame);
  }

  #end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.destroy();
    this.emit('close', reason);
  }
}

const ATTACH_TIMEOUT_MS = 10_000;

function unusable(file: string, error: Error): string {
  const code = errorCode(error);
  if (code !== 'EACCES' && code !== 'EPERM')
    return `the socket of the runner, ${file}, cannot be used: ${error.message}`;
  return `the socket of the runner, ${file}, is closed to this user (${code}): it belongs to another user, or its mode was changed. Use the user of the agent. If no agent made this file, remove it.`;
}

function silent(file: string): string {
  return `nothing answers on ${file}: the runner hangs, or another program listens there. Find the program with "ss -xlp", end it, and remove the file.`;
}

/**
 * Connects to the runner of `dir` and attaches. Undefined if none listens, or if it is just leaving: it then closes without an answer,
 * and a new runner finds the directory free. Throws AttachRefusedError if the runner refuses this link.
 */
export async function attachToRunner(dir: string, attach: Attach): Promise<RunnerSocket | undefined> {
  const file = join(dir, 'runner.sock');
  const runner = await withShortPath(dir, 'runner.sock', (path) =>
    RunnerSocket.open(path).catch((cause: Error) => {
      throw new Error(unusable(file, cause), { cause });
    }),
  );
  if (runner === undefined) return undefined;
  return new Promise((resolve, reject) => {
    const leaving = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
    const fail = (error: Error) => {
      clearTimeout(timer);
      runner.off('close', leaving);
      runner.detach();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(silent(file))), ATTACH_TIMEOUT_MS);
    runner.once('close', leaving);
    runner.once('frame', (frame) => {
      if (frame.type === 'attach_refused') return fail(new AttachRefusedError(frame.reason));
      if (frame.type !== 'attached') return fail(new Error(`the runner answers ${frame.type} to attach`));
      clearTimeout(timer);
      runner.off('close', leaving);
      resolve(runner);
    });
    runner.send(attach);
  });
}
