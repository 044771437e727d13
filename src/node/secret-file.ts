/** Secrets that the server makes for itself and keeps in its data directory, readable by its own user only. */
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** The text in `path`; where there is no such file, what `make` returns, written there (0600) and flushed to disk. */
export function readOrCreateSecretFile(path: string, make: () => string): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  for (;;) {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
    try {
      return writeNew(path, make());
    } catch (error) {
      // Another process was first: its secret counts.
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
}

/** Written aside and linked into place, so that a crash never leaves half a secret under its name. */
function writeNew(path: string, secret: string): string {
  const aside = `${path}.${process.pid}`;
  const file = openSync(aside, 'w', 0o600);
  try {
    writeSync(file, `${secret}\n`);
    fsyncSync(file);
    linkSync(aside, path);
  } finally {
    closeSync(file);
    unlinkSync(aside);
  }
  return secret;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
