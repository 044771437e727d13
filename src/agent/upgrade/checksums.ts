import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Compares a file of a release with the SHA256SUMS beside it. Rejects if they differ. Without that file there is no check. */
export async function verifyChecksum(file: string): Promise<void> {
  const sums = join(dirname(file), 'SHA256SUMS');
  if (!existsSync(sums)) return;
  const name = basename(file);
  const expected = readFileSync(sums, 'utf8')
    .split('\n')
    .find((line) => line.endsWith(`  ${name}`))
    ?.split(' ', 1)[0];
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  if (hash.digest('hex') !== expected) throw new Error(`${name} does not match the SHA256SUMS beside it`);
}
