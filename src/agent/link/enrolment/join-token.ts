import { readFileSync } from 'node:fs';

const STDIN = 0;

/** Reads the join token of the settings, when it is needed. Undefined if none is set. Throws if its file is not readable. */
export function readJoinToken(settings: { joinToken?: string; joinTokenFile?: string }): string | undefined {
  if (settings.joinToken !== undefined) return settings.joinToken;
  const file = settings.joinTokenFile;
  if (file === undefined) return undefined;
  try {
    return readFileSync(file === '-' ? STDIN : file, 'utf8').trim() || undefined;
  } catch (cause) {
    throw new Error(`EXECPLANE_JOIN_TOKEN_FILE cannot be read: ${(cause as Error).message}`, { cause });
  }
}
