/**
 * Messages on the Unix socket between link and runner (`runner.sock` in the agent's directory): encoding and decoding. Frames of the
 * server (core/protocol.ts) pass through unchanged. docs/PROTOCOL.md, "Runner socket".
 */
import { parseJson } from '../../core/json.ts';
import { LINK_TO_RUNNER, RUNNER_TO_LINK } from '../schemas/checks.ts';
import type { LinkToRunner, RunnerToLink } from './frames.ts';

/** One message: a JSON frame with its bytes, or a batch of report records. */
export type SocketMessage<F> =
  | { kind: 'frame'; frame: F; attachment: Buffer }
  /** Whole records, one after the other (core/report.ts). */
  | { kind: 'records'; bytes: Buffer };

/** The kind of peer that a decoder reads from: which frames are legal, and whether records are. */
interface Peer<F extends LinkToRunner | RunnerToLink> {
  name: string;
  sendsRecords: boolean;
  isFrame: (value: unknown) => value is F;
}

/** The runner's side: decodes messages from a link. */
export const FROM_LINK: Peer<LinkToRunner> = {
  name: 'the link',
  sendsRecords: false,
  isFrame: (value): value is LinkToRunner => isOneOf(LINK_TO_RUNNER, value),
};

/** The link's side: decodes messages from a runner. */
export const FROM_RUNNER: Peer<RunnerToLink> = {
  name: 'the runner',
  sendsRecords: true,
  isFrame: (value): value is RunnerToLink => isOneOf(RUNNER_TO_LINK, value),
};

const FRAME = 1;
const RECORDS = 2;
/** Bytes before each message: u32 length of the rest, u8 kind. */
const PREFIX_BYTES = 5;
const HEADER_BYTES = 9;
/** Maximum size of a message, for a faulty peer: above the largest start (16 MiB of body by default, more if the server allows it). */
const MAX_MESSAGE_BYTES = 1 << 30;

/** Encodes a frame: u32 length of the rest, u8 kind, u32 length of the JSON, the JSON, the attached bytes. */
export function encodeSocketFrame(frame: LinkToRunner | RunnerToLink, attachment?: Buffer): Buffer {
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

/** Encodes the five bytes before `bytes` of records: u32 length of the rest, u8 kind. */
export function recordsHeader(bytes: number): Buffer {
  const header = Buffer.allocUnsafe(PREFIX_BYTES);
  header.writeUInt32LE(bytes + 1, 0);
  header.writeUInt8(RECORDS, 4);
  return header;
}

/** Decodes the bytes of the socket to messages. Throws on malformed bytes; then the socket has to be closed. */
export class MessageDecoder<F extends LinkToRunner | RunnerToLink> {
  readonly #peer: Peer<F>;
  readonly #allocate: (bytes: number) => Buffer;
  readonly #start = Buffer.alloc(PREFIX_BYTES);
  #message: Buffer = this.#start;
  #filled = 0;

  /** `allocate` returns the memory of each message, which the receiver of the message owns. */
  constructor(peer: Peer<F>, allocate: (bytes: number) => Buffer = Buffer.allocUnsafe) {
    this.#peer = peer;
    this.#allocate = allocate;
  }

  /** Returns the messages that `chunk` completes. None of them is a view into `chunk`, which may be reused. */
  push(chunk: Buffer): SocketMessage<F>[] {
    const messages: SocketMessage<F>[] = [];
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.copy(this.#message, this.#filled, at);
      at += taken;
      this.#filled += taken;
      if (this.#filled < this.#message.length) break;
      if (this.#message === this.#start) this.#begin();
      else {
        messages.push(decodeMessage(this.#message, this.#peer));
        this.#message = this.#start;
        this.#filled = 0;
      }
    }
    return messages;
  }

  #begin(): void {
    const size = this.#start.readUInt32LE(0) + 4;
    if (size <= PREFIX_BYTES || size > MAX_MESSAGE_BYTES) {
      throw new Error(`a message of ${size} bytes from ${this.#peer.name}`);
    }
    this.#message = this.#allocate(size);
    this.#start.copy(this.#message);
  }
}

function decodeMessage<F extends LinkToRunner | RunnerToLink>(message: Buffer, peer: Peer<F>): SocketMessage<F> {
  const kind = message.readUInt8(4);
  if (kind === RECORDS && peer.sendsRecords) return { kind: 'records', bytes: message.subarray(PREFIX_BYTES) };
  if (kind !== FRAME || message.length < HEADER_BYTES) throw new Error(`an unknown message from ${peer.name}`);
  const end = HEADER_BYTES + message.readUInt32LE(5);
  if (end > message.length) throw new Error(`a frame longer than its message from ${peer.name}`);
  const frame = parseJson(message.toString('utf8', HEADER_BYTES, end));
  if (!peer.isFrame(frame)) throw new Error(`an unknown or malformed frame from ${peer.name}`);
  return { kind: 'frame', frame, attachment: message.subarray(end) };
}

function isOneOf(checks: ReadonlyMap<string, (value: unknown) => boolean>, value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string') return false;
  return checks.get(value.type)?.(value) === true;
}
