/** Writes one text for all spellings of a JSON value: keys sorted, no spaces. */

/** Characters of a string that are written at a time. */
const PIECE_CHARS = 262_144;

/** Returns the canonical text; the empty text for an absent value. The parser has limited the nesting depth. */
export function canonicalJson(value: unknown): string {
  return [...canonicalPieces(value)].join('');
}

/** Yields the text piece by piece. A piece takes a few ms at most. */
export function* canonicalPieces(value: unknown): Generator<string> {
  if (value === undefined) return;
  if (typeof value === 'string' && value.length > PIECE_CHARS) {
    yield* stringPieces(value);
    return;
  }
  if (typeof value !== 'object' || value === null) {
    yield JSON.stringify(value);
    return;
  }
  if (Array.isArray(value)) {
    const isShort = value.every((item) => typeof item === 'string' && item.length <= PIECE_CHARS);
    if (isShort) yield JSON.stringify(value);
    else yield* members('[', ']', value, canonicalPieces);
    return;
  }
  const fields = value as Record<string, unknown>;
  yield* members('{', '}', Object.keys(fields).sort(), function* (key) {
    yield `${JSON.stringify(key)}:`;
    yield* canonicalPieces(fields[key]);
  });
}

function* members<T>(open: string, close: string, items: readonly T[], piecesOf: (item: T) => Iterable<string>) {
  let before = open;
  for (const item of items) {
    yield before;
    before = ',';
    yield* piecesOf(item);
  }
  yield items.length === 0 ? `${open}${close}` : close;
}

/** Never cuts a surrogate pair: its halves alone would be escaped. */
function* stringPieces(text: string): Generator<string> {
  yield '"';
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + PIECE_CHARS, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end -= 1;
    yield JSON.stringify(text.slice(at, end)).slice(1, -1);
    at = end;
  }
  yield '"';
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
