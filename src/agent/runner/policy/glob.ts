/** Whether `text` matches: `*` is anything within a path segment, `**` anything at all, `?` one character. */
export function matchesPath(pattern: string, text: string): boolean {
  return compiled(pattern, '[^/]').test(text);
}

/** Whether `text`, which is no path, matches: `*` is anything at all, `?` one character. */
export function matchesText(pattern: string, text: string): boolean {
  return compiled(pattern, '[^]').test(text);
}

function compiled(pattern: string, one: string): RegExp {
  const source = pattern.replace(/\*\*|[*?]|[\\^$.+()[\]{}|/]/g, (special) => {
    if (special === '**') return '[^]*';
    if (special === '*') return `${one}*`;
    return special === '?' ? one : `\\${special}`;
  });
  return new RegExp(`^${source}$`, 'u');
}
