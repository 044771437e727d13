/**
 * The SHA-256 of a backup, in a line after its database: SQLite ignores what follows the last page. It covers every byte before it, so that a
 * changed value is noticed too, which SQLite's integrity_check does not see.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, closeSync, fstatSync, openSync, readSync, truncateSync } from 'node:fs';

const LABEL = 'execplane-backup-sha256: ';
/** In hexadecimal digits. */
const DIGEST_LENGTH = 64;
const LINE_BYTES = LABEL.length + DIGEST_LENGTH + 1;
const READ_BYTES = 1024 * 1024;

/** Whether the digest in the line is that of the bytes before the line. `absent`: the file has no such line. */
export type DigestState = 'right' | 'wrong' | 'absent';

/** Adds the line to the file at `path`. */
export function appendDigest(path: string): void {
  const file = openSync(path, 'r');
  try {
    appendFileSync(path, lineOf(file, fstatSync(file).size));
  } finally {
    closeSync(file);
  }
}

/** Removes the line from the file at `path`, and compares it with the bytes before it. */
export function takeDigest(path: string): DigestState {
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size - LINE_BYTES;
    if (size < 0) return 'absent';
    const line = Buffer.alloc(LINE_BYTES);
    readSync(file, line, 0, LINE_BYTES, size);
    if (!line.toString('latin1').startsWith(LABEL)) return 'absent';
    if (line.toString('latin1') !== lineOf(file, size)) return 'wrong';
    truncateSync(path, size);
    return 'right';
  } finally {
    closeSync(file);
  }
}

/** Returns the line for the first `size` bytes of an open file. */
function lineOf(file: number, size: number): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (let at = 0; at < size; ) {
    const bytes = readSync(file, buffer, 0, Math.min(READ_BYTES, size - at), at);
    if (bytes === 0) throw new Error('it has become shorter while it was read');
    hash.update(buffer.subarray(0, bytes));
    at += bytes;
  }
  return `${LABEL}${hash.digest('hex')}\n`;
}
