/** `Range: bytes=…` (RFC 9110 §14): one range. For several, or a malformed one, the whole is sent. */

/** `end` is exclusive. */
export type ByteRange = { start: number; end: number };

/** Returns the part to send of `size` bytes. */
export function readRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const parts = header === undefined ? null : /^bytes=([0-9]{0,15})-([0-9]{0,15})$/i.exec(header.trim());
  const [, from = '', to = ''] = parts ?? [];
  if (from === '' && to === '') return 'whole';
  if (from === '') {
    const length = Math.min(Number(to), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(from);
  const end = to === '' ? size : Math.min(Number(to) + 1, size);
  if (to !== '' && Number(to) < start) return 'whole';
  return start >= size ? 'unsatisfiable' : { start, end };
}

/** Whether an If-None-Match header (RFC 9110 §13.1.2) names the tag. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === etag);
}
