/** Whether `text` matches: `*` is anything within a path segment, `**` anything at all, `?` one character. */
export function matchesPath(pattern: string, text: string): boolean {
  return matches(pattern, text, '/');
}

/** Whether `text`, which is no path, matches: `*` is anything at all, `?` one character. */
export function matchesText(pattern: string, text: string): boolean {
  return matches(pattern, text, undefined);
}

/**
 * Follows all ways through the pattern at once, a character of the text at a time: pattern × text steps at most. The text is
 * the caller's to choose, and a regular expression with several stars could be kept busy for hours by it.
 */
function matches(pattern: string, text: string, border: string | undefined): boolean {
  const parts = pattern.match(/\*\*|./gsu) ?? [];
  let at = withoutStars(parts, new Set([0]));
  for (const character of text) {
    const next = new Set<number>();
    for (const i of at) {
      const part = parts[i];
      if (part === '**' || (part === '*' && character !== border)) next.add(i);
      else if (part === character || (part === '?' && character !== border)) next.add(i + 1);
    }
    if (next.size === 0) return false;
    at = withoutStars(parts, next);
  }
  return at.has(parts.length);
}

/** The same places, and those behind the stars there: a star may stand for nothing. Grows while it is walked. */
function withoutStars(parts: readonly string[], at: Set<number>): Set<number> {
  for (const i of at) if (parts[i] === '*' || parts[i] === '**') at.add(i + 1);
  return at;
}
