/** Makes and checks the directories that settings name. Each error names the setting, the directory, the reason and the remedy. */
import { readdirSync, type Stats, statSync } from 'node:fs';
import { ConfigError } from '../config-error.ts';
import { makeDirectory } from '../directory.ts';
import { errorCode, errorReason } from '../error-code.ts';

/** Makes the directory with its parents, or accepts the existing one. Throws ConfigError. */
export function makeConfiguredDirectory(setting: string, path: string, mode: number): void {
  try {
    makeDirectory(path, mode);
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') throw notDirectory(setting, path, cause);
    const permit =
      errorCode(cause) === 'EACCES' ? `, or let the user of this process (uid ${process.geteuid?.()}) make it` : '';
    throw new ConfigError(
      `${setting}: ${path} cannot be made: ${errorReason(cause)}: name another directory${permit}`,
      { cause },
    );
  }
}

/** Throws ConfigError unless this is a directory whose entries can be read. */
export function assertConfiguredDirectory(setting: string, path: string): void {
  try {
    readdirSync(path);
  } catch (cause) {
    if (errorCode(cause) === 'ENOTDIR') throw notDirectory(setting, path, cause);
    throw new ConfigError(`${setting}: ${path} cannot be read: ${errorReason(cause)}: name another directory`, {
      cause,
    });
  }
}

/** Returns the status of `path`. Undefined if there is nothing, or nothing that can be reached, such as a loop of links. */
export function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function notDirectory(setting: string, path: string, cause: unknown): ConfigError {
  return new ConfigError(`${setting}: ${path} is not a directory: name another one`, { cause });
}
