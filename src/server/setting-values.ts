/** Values of settings: how they are read from text, and what is said of one that does not fit. */
import type { TSchema } from 'typebox';

/** Shorter keys can be guessed. */
export const ADMIN_KEY = '^[!-~]{16,}$';
export const PUBLIC_URL = '^https?://[^ ]+$';
export const DATABASE_URL = '^postgres(ql)?://';
export const PEER_ADDRESS = '^(\\[[0-9a-fA-F:]+\\]|[^\\s:\\[\\]]+):[0-9]{1,5}$';

export type Described = TSchema & { default?: unknown; description?: string; type?: string };

/** Parses a value by the type of its setting. A value that does not parse stays text, so that its check fails. */
export function parseSetting(schema: Described, raw: string): string | number | boolean {
  if (schema.type === 'integer' && /^[0-9]{1,16}$/.test(raw)) return Number(raw);
  if (schema.type === 'boolean' && (raw === 'true' || raw === 'false')) return raw === 'true';
  return raw;
}

/** Returns what the value of the setting must be. */
export function expectation(
  schema: Described & { pattern?: string; minimum?: number; maximum?: number; enum?: readonly string[] },
): string {
  if (schema.type === 'integer') return `must be an integer from ${schema.minimum} to ${schema.maximum}`;
  if (schema.type === 'boolean') return 'must be true or false';
  if (schema.enum !== undefined) return `must be one of ${schema.enum.join(', ')}`;
  if (schema.pattern === PUBLIC_URL) return 'must be a URL such as https://execplane.example.com';
  if (schema.pattern === ADMIN_KEY) return 'must be at least 16 characters of printable ASCII without spaces';
  if (schema.pattern === DATABASE_URL) return 'must be a URL such as postgres://USER@HOST:5432/DATABASE';
  if (schema.pattern === PEER_ADDRESS) return 'must be HOST:PORT, such as 10.0.0.5:7412';
  return 'must not be empty';
}
