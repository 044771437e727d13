/** The file in which `execplane login` stores a server and a key for it. */
import { dirname } from 'node:path';
import { errorReason } from '../node/error-code.ts';
import { OTHER_USERS, readRegularFile, writePrivateJson } from '../node/private-file.ts';
import { CliError } from './cli-error.ts';
import { makeDirectory } from '../node/directory.ts';

export interface Login {
  url: string;
  apiKey: string;
  /** Absolute path of the certificate authority's file. */
  caFile?: string;
  /** Plain http to another host was allowed. */
  insecure?: true;
}

/** Stores a login in `file` (mode 0600, its directory 0700). Throws CliError if it cannot be written. */
export function writeLogin(file: string, { url, apiKey, caFile, insecure }: Login): void {
  try {
    makeDirectory(dirname(file), 0o700);
    writePrivateJson(file, { url, api_key: apiKey, ca_file: caFile, insecure });
  } catch (cause) {
    throw new CliError(`${file} cannot be written: ${errorReason(cause)}.`, { exitCode: 2, cause });
  }
}

/** Returns the stored login. Undefined if there is none. Throws CliError if it cannot be used. */
export function readLogin(file: string): Login | undefined {
  const stored = readPrivate(file);
  if (stored === undefined) return undefined;
  const login = parse(stored);
  if (login !== undefined) return login;
  throw new CliError(`${file} is damaged: run "execplane login" again, or remove it.`, { exitCode: 2 });
}

/** Returns the text of a file that only its owner may read. Undefined if there is none. Throws CliError (exit code 2). */
export function readPrivate(file: string): string | undefined {
  try {
    const read = readRegularFile(file);
    if (read === undefined || (read.mode & OTHER_USERS) === 0) return read?.bytes.toString();
  } catch (cause) {
    const hint = 'Remove it, or name another server and key with EXECPLANE_URL and EXECPLANE_API_KEY.';
    throw new CliError(`${file} cannot be read: ${errorReason(cause)}.`, { exitCode: 2, cause, hint });
  }
  throw new CliError(`${file} can be read by other users: close it with "chmod 0600 ${file}".`, { exitCode: 2 });
}

function parse(text: string): Login | undefined {
  let kept: unknown;
  try {
    kept = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof kept !== 'object' || kept === null) return undefined;
  const { url, api_key: apiKey, ca_file: caFile, insecure } = kept as Record<string, unknown>;
  if (typeof url !== 'string' || !URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) return undefined;
  // No key has a line break, a space or a control character, and no header may have one.
  if (typeof apiKey !== 'string' || !/^[!-~]+$/.test(apiKey)) return undefined;
  return {
    url,
    apiKey,
    ...(typeof caFile === 'string' ? { caFile } : {}),
    ...(insecure === true ? { insecure } : {}),
  };
}
