import { readFileSync } from 'node:fs';
import { parseJson } from '../core/json.ts';

/** Returns the version of this package, from package.json. */
export function packageVersion(): string {
  const manifest = parseJson(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version);
  throw new Error('package.json has no version');
}
