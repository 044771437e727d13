import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Holds a file of a release against the SHA256SUMS beside it. Rejects where they differ; without sums nothing is known. */
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
