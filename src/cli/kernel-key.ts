import { closeSync, openSync, readSync } from 'node:fs';

const BYTES = 16;

/** Returns 128 random bits of the kernel, in hexadecimal. Node's `crypto` has the same source, but takes 5 ms to load. */
export function kernelKey(): string {
  const bytes = Buffer.alloc(BYTES);
  return readRandom(bytes) ? bytes.toString('hex') : Buffer.from(crypto.getRandomValues(bytes)).toString('hex');
}

/** Fills `bytes`. Returns false if the system has no such file. */
function readRandom(bytes: Buffer): boolean {
  let descriptor: number;
  try {
    descriptor = openSync('/dev/urandom', 'r');
  } catch {
    return false;
  }
  try {
    return readSync(descriptor, bytes) === bytes.length;
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}
