/** Copies one file to a machine, checks its SHA-256, and moves it to its path when it is complete. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import type { MachineClient } from '../../client/main.ts';
import { PIECE_BYTES } from '../../client/stdin-stream.ts';
import { CliError } from '../cli-error.ts';
import { readStdin } from '../streams/input.ts';
import type { CopyOptions } from './copy.ts';

/** Size from which an interrupted copy is continued. Sending a smaller file again is as fast as querying the machine for its part. */
const RESUMED_FROM_BYTES = 4_194_304;

/** Reads as many bytes at once as one request sends. */
const PIECES = { highWaterMark: PIECE_BYTES };

/** Copies a file to a machine. `local`: undefined for stdin. A large file continues where an earlier copy was interrupted. */
export async function sendFile(
  machine: MachineClient,
  { local, remote, preserve, signal, progress }: CopyOptions & { local: string | undefined; remote: string },
): Promise<void> {
  const found = local === undefined ? undefined : await stat(local);
  const path = local === undefined ? remote : await remoteTarget(machine, remote, basename(local));
  const hash = createHash('sha256');
  const options = {
    sha256: () => hash.digest('hex'),
    signal,
    ...(preserve && found !== undefined ? { mode: found.mode & 0o7777 } : {}),
  };
  if (local !== undefined && found?.isFile() && found.size >= RESUMED_FROM_BYTES) {
    const from = (offset: number) => progress.watch(fileFrom(local, hash, offset), { total: found.size, offset });
    await machine.files.writeResumable(path, { key: contentKey(found), from }, options);
  } else {
    const source = local === undefined ? readStdin(signal) : createReadStream(local, PIECES);
    const total = found?.isFile() ? found.size : undefined;
    await machine.files.write(path, progress.watch(hashed(source, hash), { total }), options);
  }
  if (!preserve || found === undefined) return;
  const { exitCode, stderr } = await machine.run(['touch', '-d', `@${Math.floor(found.mtimeMs / 1000)}`, path]);
  if (exitCode !== 0) throw new CliError(`${path}: its time could not be set: ${stderr.trim()}`);
}

/** A file copied into a directory keeps its own name, as with cp. */
async function remoteTarget(machine: MachineClient, path: string, name: string): Promise<string> {
  const { exitCode } = await machine.run(['test', '-d', path]);
  return exitCode === 0 ? `${path.replace(/\/$/, '')}/${name}` : path;
}

/** Returns a name for this content of this file: a changed file has another one. */
function contentKey({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  const identity = [hostname(), dev, ino, size, mtimeMs, ctimeMs].join('\0');
  return createHash('sha256').update(identity).digest('hex').slice(0, 32);
}

/** Yields the bytes from `offset` on. The checksum covers the earlier bytes too. */
async function* fileFrom(path: string, hash: Hash, offset: number): AsyncGenerator<Uint8Array> {
  if (offset > 0) for await (const piece of createReadStream(path, { end: offset - 1 })) hash.update(piece);
  yield* hashed(createReadStream(path, { ...PIECES, start: offset }), hash);
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    hash.update(piece);
    yield piece;
  }
}
