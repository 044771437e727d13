import { readFileSync } from 'node:fs';
import { parseJson } from '../core/json.ts';

/** The version of this package, as package.json has it. */
export function packageVersion(): string {
  const manifest = parseJson(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version);
  throw new Error('package.json has no version');
}
