/**
 * The socket between link and runner (Unix socket `runner.sock` in the agent's directory): framing and local frames.
 * Frames of the server (core/protocol.ts) pass through it unchanged; docs/PROTOCOL.md, "Runner socket".
 */
import type { AgentFrame, Held, ServerFrame } from '../core/protocol.ts';

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
  const header = Buffer.allocUnsafe(5);
  header.writeUInt32LE(bytes + 1, 0);
  header.writeUInt8(RECORDS, 4);
  return header;
}

/** Cuts what arrives on the socket into messages. Throws on what is no message: the peer is broken, close the socket. */
export class ChannelDecoder<F extends LinkToRunner | RunnerToLink> {
  #parts: Buffer[] = [];
  #size = 0;
  #needed = 5;

  /** The messages that `chunk` completes. */
  push(chunk: Buffer): ChannelMessage<F>[] {
    this.#parts.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#needed) return [];
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    const messages: ChannelMessage<F>[] = [];
    let offset = 0;
    this.#needed = 5;
    while (bytes.length - offset >= 5) {
      const size = bytes.readUInt32LE(offset) + 4;
      if (size < 5 || size > MAX_MESSAGE_BYTES) throw new Error(`a message of ${size} bytes on the runner socket`);
      if (bytes.length - offset < size) {
        this.#needed = size;
        break;
      }
      messages.push(decodeMessage<F>(bytes.subarray(offset, offset + size)));
      offset += size;
    }
    const rest = bytes.subarray(offset);
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    return messages;
  }
}

function decodeMessage<F>(message: Buffer): ChannelMessage<F> {
  const kind = message.readUInt8(4);
  if (kind === RECORDS) return { kind: 'records', bytes: message.subarray(5) };
  if (kind !== FRAME || message.length < HEADER_BYTES) throw new Error('an unknown message on the runner socket');
  const end = HEADER_BYTES + message.readUInt32LE(5);
  return {
    kind: 'frame',
    frame: JSON.parse(message.toString('utf8', HEADER_BYTES, end)) as F,
    attachment: message.subarray(end),
  };
}
