/** Reads `Range: bytes=…` (RFC 9110 §14). One range is supported; for several, or a malformed one, the whole is sent. */
import { parse } from 'range-parser';

/** `end` is exclusive. */
export type ByteRange = { start: number; end: number };

const MALFORMED = 1;

/** Returns the part to send of `size` bytes. */
export function readRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  if (header === undefined) return 'whole';
  const { code, type, ranges } = parse(size, header);
  const [range] = ranges;
  if (type !== 'bytes' || (code & MALFORMED) !== 0 || ranges.length > 1) return 'whole';
  return range === undefined ? 'unsatisfiable' : { start: range.start, end: range.end + 1 };
}

/** Whether an If-None-Match header (RFC 9110 §13.1.2) names the tag. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === etag);
}
