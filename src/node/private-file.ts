import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes JSON to a file of mode 0600, whole or not at all: what was there stays until the new content is on disk. */
export function writePrivateJson(path: string, value: unknown): void {
  const next = `${path}.${process.pid}.new`;
  rmSync(next, { force: true });
  const file = openSync(next, 'wx', 0o600);
  try {
    writeSync(file, `${JSON.stringify(value, null, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, path);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** The parsed content, or undefined where there is no such file. Throws where it cannot be read, others can read it, or it is no JSON. */
export function readPrivateJson(path: string): unknown {
  let text: string;
  try {
    refuseOpen(path);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is damaged: it is not JSON.`, { cause });
  }
}

/** A secret that others could read was theirs to take: it is not to be trusted any more without a look. */
function refuseOpen(path: string): void {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  throw new Error(
    `${path} is open to other users (mode ${mode.toString(8).padStart(4, '0')}): close it with "chmod 0600 ${path}".`,
  );
}
