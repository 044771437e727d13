import { readFileSync } from 'node:fs';
import { readConfiguredSecret } from '../../../node/files/configured-file.ts';

const STDIN = 0;

/** Reads the join token of the settings, when it is needed. Undefined if none is set. Throws ConfigError if its file cannot be read. */
export function readJoinToken(settings: { joinToken?: string; joinTokenFile?: string }): string | undefined {
  if (settings.joinToken !== undefined) return settings.joinToken;
  const file = settings.joinTokenFile;
  if (file === undefined) return undefined;
  const text = file === '-' ? readFileSync(STDIN, 'utf8') : readConfiguredSecret('EXECPLANE_JOIN_TOKEN_FILE', file);
  return text.trim() || undefined;
}
