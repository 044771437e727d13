import { readFileSync } from 'node:fs';

/** The version in package.json, which lies as far above this file in source as in what is built from it. */
export function packageVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
