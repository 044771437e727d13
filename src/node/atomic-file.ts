/**
 * Writes files atomically; they are on disk when the function returns. write-file-atomic does not flush the directory and cannot refuse to
 * replace a file, so it is not used here.
 */
import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes `content` to `path` with mode 0600. An existing file stays until the new content is on disk. */
export function replaceFile(path: string, content: string): void {
  const next = writeAside(path, content);
  try {
    renameSync(next, path);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
  flush(dirname(path));
}

/** Writes the new file `path` with mode 0600. Throws EEXIST if there is one already. */
export function createFile(path: string, content: string): void {
  const next = writeAside(path, content);
  try {
    linkSync(next, path);
  } finally {
    rmSync(next, { force: true });
  }
  flush(dirname(path));
}

/** Flushes a file, or the names in a directory, to the disk. */
export function flush(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function writeAside(path: string, content: string): string {
  const next = `${path}.${process.pid}.new`;
  rmSync(next, { force: true });
  const descriptor = openSync(next, 'wx', 0o600);
  try {
    writeSync(descriptor, content);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  return next;
}
