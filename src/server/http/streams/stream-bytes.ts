/** Reads the kept bytes of a stream in pieces, and converts them to text. Holds one piece at a time. */
import { isUtf8 } from 'node:buffer';
import type { Store } from '../../../store/store.ts';

const PIECE_BYTES = 262_144;
/** A UTF-8 character has at most 4 bytes. */
const MAX_CHARACTER_BYTES = 4;

interface StreamName {
  executionId: string;
  stream: 'stdout' | 'stderr';
}

/** Yields the bytes from `start` (0-based) to before `end`; fewer if no more are kept. */
export async function* readKept(
  store: Pick<Store, 'readStream'>,
  { executionId, stream, start, end }: StreamName & { start: number; end: number },
): AsyncGenerator<Buffer> {
  let offset = start;
  while (offset < end) {
    const bytes = await store.readStream({
      executionId,
      stream,
      offset,
      maxBytes: Math.min(PIECE_BYTES, end - offset),
    });
    if (bytes.length === 0) return;
    offset += bytes.length;
    yield bytes;
  }
}

/** Yields the inside of a JSON string: UTF-8 decoded across pieces, invalid bytes as U+FFFD. */
export async function* utf8Text(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for await (const piece of pieces) yield escaped(decoder.decode(piece, { stream: true }));
  yield escaped(decoder.decode());
}

/** Yields base64 of all the pieces together. */
export async function* base64Text(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const whole = bytes.length - (bytes.length % 3);
    yield bytes.toString('base64', 0, whole);
    rest = Buffer.from(bytes.subarray(whole));
  }
  yield rest.toString('base64');
}

/** Returns all pieces as an array; for few and small ones. */
export async function gather<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = [];
  for await (const piece of pieces) gathered.push(piece);
  return gathered;
}

/** Returns `offset`, or the start of the next character if it points into one. */
export async function wholeCharacterFrom(
  store: Pick<Store, 'readStream'>,
  { executionId, stream, offset }: StreamName & { offset: number },
): Promise<number> {
  const from = Math.max(0, offset - MAX_CHARACTER_BYTES + 1);
  const pieces = readKept(store, { executionId, stream, start: from, end: offset + MAX_CHARACTER_BYTES });
  const around = Buffer.concat(await gather(pieces));
  for (let lead = offset - 1; lead >= from; lead -= 1) {
    const byte = around[lead - from] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const end = lead + characterBytes(byte);
    return end > offset && isWhole(around.subarray(lead - from, end - from)) ? end : offset;
  }
  return offset;
}

/** Returns `bytes` without the rest of a character that began before them. */
export function fromWholeCharacter(bytes: Buffer): Buffer {
  let start = 0;
  while (start < MAX_CHARACTER_BYTES - 1 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return bytes.subarray(start);
}

function characterBytes(lead: number): number {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}

function isWhole(bytes: Buffer): boolean {
  return isUtf8(bytes);
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
