/** Parses spans of time and sizes as people type them. */

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parses `30s`, `1h30m`, `500ms`; a bare number is seconds. Returns ms; undefined if the text is no span of time. */
export function parseDuration(text: string): number | undefined {
  const typed = text.trim();
  if (/^\d+(\.\d+)?$/.test(typed)) return Math.round(Number(typed) * 1000);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d)\s*)+$/.test(typed)) return undefined;
  const parts = [...typed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  return Math.round(parts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (MS[unit] ?? 0), 0));
}

/** Parses `1048576`, `512m`, `1.5 GiB`, in powers of 1024. Returns bytes; undefined if the text is no size. */
export function parseSize(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  if (number === undefined) return undefined;
  const bytes = Math.round(Number(number) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' '));
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
