/** Splits one direction of a WebSocket connection into frames (RFC 6455 §5.2), so that a fault can drop, repeat or truncate a frame. */
export class FrameCutter {
  #parts: Buffer[] = [];
  #size = 0;
  /** The lower limit of the bytes needed for the next frame. */
  #needed = 2;

  /** Adds `chunk` and returns the frames that are now complete, header and payload unchanged. */
  push(chunk: Buffer): Buffer[] {
    this.#parts.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#needed) return [];
    let rest = Buffer.concat(this.#parts);
    const frames: Buffer[] = [];
    for (let size = frameBytes(rest); size !== undefined && size <= rest.length; size = frameBytes(rest)) {
      frames.push(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
    this.#parts = [rest];
    this.#size = rest.length;
    this.#needed = frameBytes(rest) ?? rest.length + 1;
    return frames;
  }
}

/** The length of the first frame in `bytes`; undefined while its header is incomplete. */
function frameBytes(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const masked = (bytes.readUInt8(1) & 0x80) === 0 ? 0 : 4;
  const short = bytes.readUInt8(1) & 0x7f;
  if (short < 126) return 2 + masked + short;
  if (short === 126) return bytes.length < 4 ? undefined : 4 + masked + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 10 + masked + Number(bytes.readBigUInt64BE(2));
}

/** The unmasked payload of a data frame as text. */
export function payloadText(frame: Buffer): string {
  const masked = (frame.readUInt8(1) & 0x80) !== 0;
  const short = frame.readUInt8(1) & 0x7f;
  const at = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (!masked) return frame.toString('latin1', at);
  const mask = frame.subarray(at, at + 4);
  return Buffer.from(frame.subarray(at + 4).map((byte, n) => byte ^ (mask[n % 4] ?? 0))).toString('latin1');
}

/** Whether the frame is a data frame: text, binary or continuation, not ping, pong or close. */
export function isData(frame: Buffer): boolean {
  return (frame.readUInt8(0) & 0x08) === 0;
}
