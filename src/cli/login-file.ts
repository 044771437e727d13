/** The file in which `execplane login` stores a server and a key for it. */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { writePrivateJson } from '../node/private-file.ts';
import { CliError } from './cli-error.ts';

export interface Login {
  url: string;
  apiKey: string;
  /** Absolute path of the certificate authority's file. */
  caFile?: string;
  /** Plain http to another host was allowed. */
  insecure?: true;
}

/** Stores a login in `file` (mode 0600, its directory 0700). */
export function writeLogin(file: string, { url, apiKey, caFile, insecure }: Login): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writePrivateJson(file, { url, api_key: apiKey, ca_file: caFile, insecure });
}

/** Returns the stored login. Undefined if there is none. Throws CliError if it cannot be used. */
export function readLogin(file: string): Login | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if ((stat.mode & 0o077) !== 0) {
    throw new CliError(`${file} can be read by other users: close it with "chmod 0600 ${file}".`, { exitCode: 2 });
  }
  const login = parse(readFileSync(file, 'utf8'));
  if (login !== undefined) return login;
  throw new CliError(`${file} is damaged: run "execplane login" again, or remove it.`, { exitCode: 2 });
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
  if (typeof url !== 'string' || !URL.canParse(url) || typeof apiKey !== 'string') return undefined;
  return {
    url,
    apiKey,
    ...(typeof caFile === 'string' ? { caFile } : {}),
    ...(insecure === true ? { insecure } : {}),
  };
}
