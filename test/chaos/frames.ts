/** Cuts one direction of a WebSocket connection into its frames (RFC 6455 §5.2), so that faults can hit whole ones or halves. */
export class FrameCutter {
  #parts: Buffer[] = [];
  #size = 0;
  /** No frame can be complete before this many bytes have arrived. */
  #needed = 2;

  /** The frames that `chunk` completes, header and payload unchanged. */
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

/** The length of the frame that `bytes` starts with; undefined while its header is not complete. */
function frameBytes(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const masked = (bytes.readUInt8(1) & 0x80) === 0 ? 0 : 4;
  const short = bytes.readUInt8(1) & 0x7f;
  if (short < 126) return 2 + masked + short;
  if (short === 126) return bytes.length < 4 ? undefined : 4 + masked + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 10 + masked + Number(bytes.readBigUInt64BE(2));
}

/** The payload as text, unmasked; of a data frame. */
export function payloadText(frame: Buffer): string {
  const masked = (frame.readUInt8(1) & 0x80) !== 0;
  const short = frame.readUInt8(1) & 0x7f;
  const at = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (!masked) return frame.toString('latin1', at);
  const mask = frame.subarray(at, at + 4);
  return Buffer.from(frame.subarray(at + 4).map((byte, n) => byte ^ (mask[n % 4] ?? 0))).toString('latin1');
}

/** Data frames only: text, binary or a continuation; not ping, pong and close. */
export function isData(frame: Buffer): boolean {
  return (frame.readUInt8(0) & 0x08) === 0;
}
