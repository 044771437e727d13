/** Cuts output to a size that fits into the context of a model. */

/** Number of bytes shown of the beginning and of the end. */
export const SHOWN_BYTES = 8192;

/** Returns the beginning and the end of a stream, and a hint on how to read the rest. `total`: the size of the stream in bytes. */
export function headAndTail(p: {
  stream: 'stdout' | 'stderr';
  head: Uint8Array;
  tail: Uint8Array;
  total: number;
}): string {
  const { stream, head, tail, total } = p;
  if (total === 0) return '';
  const omitted = total - head.length - tail.length;
  const middle =
    omitted <= 0
      ? ''
      : `\n[… ${omitted} bytes omitted; read_output with stream "${stream}", offset ${head.length} …]\n`;
  return `--- ${stream} (${total} bytes)\n${textOf(head)}${middle}${textOf(tail)}`;
}

/** Decodes UTF-8. Invalid bytes become U+FFFD. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
