/**
 * The socket between link and runner (Unix socket `runner.sock` in the agent's directory): framing and local frames.
 * Frames of the server (core/protocol.ts) pass through it unchanged; docs/PROTOCOL.md, "Runner socket".
 */
import type { AgentFrame, Held, ServerFrame } from '../../core/protocol.ts';

/** link → runner, first: who is there, and the agent's settings. */
export interface Attach {
  type: 'attach';
  /** The runner refuses a link of another version of this socket's protocol. */
  channel: 1;
  max_concurrency: number;
}
/** link → runner: the WebSocket is open: send your `state`, and no records until `welcome`. */
interface Prepare {
  type: 'prepare';
}
/** link → runner: the WebSocket is gone: keep everything in the journal. */
interface Unlinked {
  type: 'unlinked';
}
/** link → runner: end everything (SIGTERM, grace, SIGKILL), report it, leave. */
interface Stop {
  type: 'stop';
  grace_ms: number;
}
/** Credentials are the link's affair: the runner, whose memory commands may get at, has none. */
type ForRunner = Exclude<ServerFrame, { type: 'rotate' }>;
export type LinkToRunner = Attach | Prepare | Unlinked | Stop | ForRunner;

/** runner → link, the answer to `attach`. */
interface Attached {
  type: 'attached';
  runner_instance: string;
  pid: number;
}
/** runner → link, instead of `attached`: another link is attached, or the channel versions differ; then it closes. */
interface AttachRefused {
  type: 'attach_refused';
  reason: string;
}
/** runner → link, the answer to `prepare`: what the link's hello says. */
export interface State {
  type: 'state';
  runner_instance: string;
  boot_id: string;
  last_dispatch_number: number;
  clock_ms: number;
  held: Held[];
}
/** runner → link: all has ended and been acknowledged (or nobody listened): the runner leaves now. */
interface Stopped {
  type: 'stopped';
}
export type RunnerToLink = Attached | AttachRefused | State | Stopped | Exclude<AgentFrame, { type: 'hello' }>;

/** What one message on the socket holds. */
export type ChannelMessage<F> =
  | { kind: 'frame'; frame: F; attachment: Buffer }
  /** Whole records, one behind the other (core/report.ts). */
  | { kind: 'records'; bytes: Buffer };

const FRAME = 1;
const RECORDS = 2;
/** Length of the rest and kind: what every message begins with. */
const PREFIX_BYTES = 5;
const HEADER_BYTES = 9;
/** Above the largest start (16 MiB of body by default, more where the server allows it); guards against a broken peer. */
const MAX_MESSAGE_BYTES = 1 << 30;

/** Writes a frame: u32 length of the rest, u8 kind, u32 length of the JSON, the JSON, the attached bytes. */
export function encodeChannelFrame(frame: LinkToRunner | RunnerToLink, attachment?: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(frame));
  const attached = attachment?.length ?? 0;
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + json.length + attached);
  bytes.writeUInt32LE(bytes.length - 4, 0);
  bytes.writeUInt8(FRAME, 4);
  bytes.writeUInt32LE(json.length, 5);
  bytes.set(json, HEADER_BYTES);
  if (attachment !== undefined) bytes.set(attachment, HEADER_BYTES + json.length);
  return bytes;
}

/** The five bytes before `bytes` of records: u32 length of the rest, u8 kind. */
export function recordsHeader(bytes: number): Buffer {
  const header = Buffer.allocUnsafe(PREFIX_BYTES);
  header.writeUInt32LE(bytes + 1, 0);
  header.writeUInt8(RECORDS, 4);
  return header;
}

/** Cuts what arrives on the socket into messages. Throws on what is no message: the peer is broken, close the socket. */
export class ChannelDecoder<F extends LinkToRunner | RunnerToLink> {
  readonly #allocate: (bytes: number) => Buffer;
  readonly #start = Buffer.alloc(PREFIX_BYTES);
  #message: Buffer = this.#start;
  #filled = 0;

  /** `allocate` gives the memory of each message; whoever takes the message has it from then on. */
  constructor(allocate: (bytes: number) => Buffer = Buffer.allocUnsafe) {
    this.#allocate = allocate;
  }

  /** The messages that `chunk` completes; nothing of them is a view into it, so that it may be read into again. */
  push(chunk: Buffer): ChannelMessage<F>[] {
    const messages: ChannelMessage<F>[] = [];
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.copy(this.#message, this.#filled, at);
      at += taken;
      this.#filled += taken;
      if (this.#filled < this.#message.length) break;
      if (this.#message === this.#start) this.#begin();
      else {
        messages.push(decodeMessage<F>(this.#message));
        this.#message = this.#start;
        this.#filled = 0;
      }
    }
    return messages;
  }

  #begin(): void {
    const size = this.#start.readUInt32LE(0) + 4;
    if (size <= PREFIX_BYTES || size > MAX_MESSAGE_BYTES)
      throw new Error(`a message of ${size} bytes on the runner socket`);
    this.#message = this.#allocate(size);
    this.#start.copy(this.#message);
  }
}

function decodeMessage<F>(message: Buffer): ChannelMessage<F> {
  const kind = message.readUInt8(4);
  if (kind === RECORDS) return { kind: 'records', bytes: message.subarray(PREFIX_BYTES) };
  if (kind !== FRAME || message.length < HEADER_BYTES) throw new Error('an unknown message on the runner socket');
  const end = HEADER_BYTES + message.readUInt32LE(5);
  return {
    kind: 'frame',
    frame: JSON.parse(message.toString('utf8', HEADER_BYTES, end)) as F,
    attachment: message.subarray(end),
  };
}
