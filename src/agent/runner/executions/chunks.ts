/** Returns the bytes of an unfinished UTF-8 character at the end of `bytes`: 0 to 3. Bytes that begin no character count as none. */
export function unfinishedBytes(bytes: Buffer): number {
  const limit = Math.min(3, bytes.length);
  for (let back = 1; back <= limit; back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return characterBytes(byte) > back ? back : 0;
  }
  return 0;
}

/** Returns the length of the character that begins with `lead`; 1 if none does. */
function characterBytes(lead: number): number {
  if (lead >= 0xf5) return 1;
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc2 ? 2 : 1;
}

/**
 * Returns the part of `bytes` that fits into `limit` without splitting a character. If the bytes after the limit show that there is no
 * character to split, the limit is used to its last byte.
 */
export function cutAt(bytes: Buffer, limit: number): Buffer {
  if (bytes.length <= limit) return bytes;
  const cut = bytes.subarray(0, limit);
  const unfinished = unfinishedBytes(cut);
  if (unfinished === 0) return cut;
  const lead = cut[limit - unfinished] ?? 0;
  const rest = bytes.subarray(limit, limit - unfinished + characterBytes(lead));
  return rest.every((byte) => (byte & 0xc0) === 0x80) ? cut.subarray(0, limit - unfinished) : cut;
}
