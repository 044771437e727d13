/** Reads the files that settings and flags name. Each error names the setting, the file, the reason and the remedy. */
import { ConfigError } from '../config-error.ts';
import { errorCode, errorReason } from '../error-code.ts';
import { type ReadOptions, readRegularFile } from '../private-file.ts';

/** Returns the content of the file that `setting` names: a regular file, or a pipe that the shell made. Throws ConfigError. */
export function readConfiguredFile(setting: string, path: string, { maxBytes }: ReadOptions = {}): Buffer {
  let file: ReturnType<typeof readRegularFile>;
  try {
    file = readRegularFile(path, { pipes: true, ...(maxBytes !== undefined && { maxBytes }) });
  } catch (cause) {
    throw unusable(setting, path, { reason: errorReason(cause), remedy: remedyFor(cause), cause });
  }
  if (file !== undefined) return file.bytes;
  throw unusable(setting, path, { reason: 'there is no such file', remedy: 'make it, or correct the setting' });
}

/** Returns the content as text, without a byte order mark. Throws ConfigError, also if it is not UTF-8. */
export function readConfiguredText(setting: string, path: string, options: ReadOptions = {}): string {
  const bytes = readConfiguredFile(setting, path, options);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw unusable(setting, path, { reason: 'it is not UTF-8 text', remedy: 'save it as UTF-8', cause });
  }
}

/** Returns the secret in a file, without the line break after it. Throws ConfigError, also if the file is empty. */
export function readConfiguredSecret(setting: string, path: string): string {
  const secret = readConfiguredText(setting, path).trim();
  if (secret !== '') return secret;
  throw unusable(setting, path, { reason: 'it is empty', remedy: 'write the secret into it' });
}

function unusable(setting: string, path: string, p: { reason: string; remedy: string; cause?: unknown }): ConfigError {
  return new ConfigError(`${setting}: ${path} cannot be read: ${p.reason}: ${p.remedy}`, { cause: p.cause });
}

function remedyFor(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (errorCode(cause) !== 'EACCES' && errorCode(cause) !== 'EPERM') return 'name another file';
  return `let the user of this process (uid ${process.geteuid?.()}) read it`;
}
