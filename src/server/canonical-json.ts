/** One text for all spellings of a JSON value: keys sorted, no spaces. */
import { Problem } from './problem.ts';

/** Deeper than any request of this API; what is not validated (the body of a DELETE) must not exhaust the stack. */
const MAX_DEPTH = 64;

/** Throws a 400 for a value nested too deep. No value at all is the empty text. */
export function canonicalJson(value: unknown, depth = 0): string {
  if (value === undefined) return '';
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (depth >= MAX_DEPTH) throw new Problem(400, 'The body is nested too deep.');
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join()}]`;
  const fields = value as Record<string, unknown>;
  const members = Object.keys(fields)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(fields[key], depth + 1)}`);
  return `{${members.join()}}`;
}
