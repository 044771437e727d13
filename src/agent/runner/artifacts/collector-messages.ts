/** Messages on a collector's stdout: u32 length of the rest, u8 kind, the payload. The runner validates all of them. */

/** The largest payload: a piece of a file. */
export const MAX_PAYLOAD_BYTES = 65_536;
const HEADER_BYTES = 5;

/** `begin {name}`, its `data`, `end {}`; `skipped {name, reason}`; `missing {path}`; `done {}` is the last. */
const KINDS = ['begin', 'data', 'end', 'skipped', 'missing', 'done'] as const;
type Kind = (typeof KINDS)[number];

export interface CollectorMessage {
  kind: Kind;
  payload: Buffer;
}

/** Encodes a message. */
export function encodeMessage(kind: Kind, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(payload.length + 1, 0);
  header.writeUInt8(KINDS.indexOf(kind), 4);
  return Buffer.concat([header, payload]);
}

/** Decodes a stream to messages. Throws on a malformed one. */
export class CollectorDecoder {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): CollectorMessage[] {
    const messages: CollectorMessage[] = [];
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEADER_BYTES) {
      const end = 4 + bytes.readUInt32LE(0);
      const kind = KINDS[bytes.readUInt8(4)];
      if (kind === undefined || end < HEADER_BYTES || end > HEADER_BYTES + MAX_PAYLOAD_BYTES) {
        throw new Error('the collector wrote a malformed message');
      }
      if (bytes.length < end) break;
      messages.push({ kind, payload: bytes.subarray(HEADER_BYTES, end) });
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    return messages;
  }
}
