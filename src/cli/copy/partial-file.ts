/** A file that is being fetched: it has a temporary name until it is complete. The part of an interrupted copy is continued. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, type FileHandle, lstat, open, readdir, rename, rm, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

export class PartialFile {
  /** Bytes in the file. */
  size: number;
  readonly #path: string;
  readonly #part: string;
  readonly #file: FileHandle;

  private constructor(path: string, part: string, file: FileHandle, size: number) {
    this.#path = path;
    this.#part = part;
    this.#file = file;
    this.size = size;
  }

  /** Opens the file. `identity`: that of the content, whose part from an interrupted copy is continued. Undefined: start again. */
  static async open(path: string, identity: readonly (string | number)[] | undefined): Promise<PartialFile> {
    const digest = createHash('sha256').update([hostname(), ...(identity ?? [])].join('\0'));
    const stem = `${path}.execplane-${identity === undefined ? 'whole' : digest.digest('hex').slice(0, 32)}.`;
    // The name ends with the pid of the writer, so that the part of a running copy is not continued by another one.
    const part = `${stem}${process.pid}`;
    const left = identity === undefined ? undefined : await findLeft(stem);
    if (left !== undefined) await rename(left, part);
    const file = await open(part, left === undefined ? 'wx' : 'a');
    return new PartialFile(path, part, file, (await file.stat()).size);
  }

  /** Yields the bytes that were in the file when it was opened. */
  async *content(): AsyncGenerator<Buffer> {
    if (this.size > 0) yield* createReadStream(this.#part, { end: this.size - 1 }) as AsyncIterable<Buffer>;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#file.writeFile(bytes);
    this.size += bytes.length;
  }

  /** Moves the file to its path. `attributes`: its mode and its time, in ms. */
  async putInPlace(attributes: { mode: number; modifiedAt: number } | undefined): Promise<void> {
    await this.#file.sync();
    await this.#file.close();
    if (attributes !== undefined) {
      await chmod(this.#part, attributes.mode);
      await utimes(this.#part, attributes.modifiedAt / 1000, attributes.modifiedAt / 1000);
    }
    await rename(this.#part, this.#path);
  }

  async close({ keep }: { keep: boolean }): Promise<void> {
    await this.#file.close();
    if (!keep || this.size === 0) await rm(this.#part, { force: true });
  }
}

/** Returns the path of a part that belongs to this user and whose writer has ended. */
async function findLeft(stem: string): Promise<string | undefined> {
  const directory = dirname(stem);
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter((candidate) => candidate.startsWith(basename(stem)))) {
    const path = join(directory, name);
    const found = await lstat(path).catch(() => undefined);
    const isOwn = found?.isFile() === true && found.uid === process.getuid?.() && found.nlink === 1;
    if (isOwn && !isAlive(Number(name.slice(basename(stem).length)))) return path;
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
