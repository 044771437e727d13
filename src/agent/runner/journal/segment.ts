import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writevSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../../node/error-code.ts';

/** Maximum size of a segment: a position is one number, composed of segment and offset. */
const SPAN = 2 ** 27;
const NAME = /^(\d{10})\.log$/;
/** Maximum number of buffers in one write. The kernel refuses more than IOV_MAX. */
const MAX_BUFFERS = 512;
/** Begins no record: a scan ends here. */
const END = Buffer.alloc(4);

/** One append-only file of the journal. */
export class Segment {
  readonly id: number;
  readonly #path: string;
  readonly #fd: number;
  /** Bytes of whole records in it. */
  size: number;
  /** Unacknowledged reports in it. */
  needed = 0;

  private constructor(id: number, path: string, fd: number, size: number) {
    this.id = id;
    this.#path = path;
    this.#fd = fd;
    this.size = size;
  }

  /**
   * Creates segment `id`, which must not exist. If the directory was removed, the segment is a file without a name: running commands lose no
   * output, but the next runner will not find it.
   */
  static create(directory: string, id: number): Segment {
    const path = join(directory, segmentName(id));
    try {
      return new Segment(id, path, openSync(path, 'wx+', 0o600), 0);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      return new Segment(id, path, openNameless(), 0);
    }
  }

  /** Opens segment `id` of an earlier run. The replay sets `size` once it has found the last whole record. */
  static open(directory: string, id: number): Segment {
    const path = join(directory, segmentName(id));
    return new Segment(id, path, openSync(path, 'r+'), 0);
  }

  position(offset: number): number {
    return this.id * SPAN + offset;
  }

  /**
   * Appends all of `buffers`, or throws. Bytes of a failed write are after `size`, so they are ignored. They are cut off, because they may be
   * the last room of a full disk.
   */
  append(buffers: readonly Buffer[]): void {
    let end = this.size;
    try {
      for (let i = 0; i < buffers.length; i += MAX_BUFFERS) end += this.#write(buffers.slice(i, i + MAX_BUFFERS), end);
    } catch (error) {
      ftruncateSync(this.#fd, this.size);
      throw error;
    }
    this.size = end;
  }

  /**
   * Replaces all records by `buffers`, without more room on the disk. Returns false if they are not smaller. If this process ends in between, the
   * file holds `buffers`, and behind END a rest that is not read.
   */
  rewrite(buffers: readonly Buffer[]): boolean {
    const bytes = Buffer.concat([...buffers, END]);
    if (bytes.length > this.size) return false;
    this.#write([bytes], 0);
    this.size = bytes.length - END.length;
    ftruncateSync(this.#fd, this.size);
    return true;
  }

  #write(buffers: Buffer[], at: number): number {
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    let written = writevSync(this.#fd, buffers, at);
    if (written === bytes) return bytes;
    // A full disk accepts a part first, and fails on the rest.
    const all = Buffer.concat(buffers);
    while (written < bytes) written += writevSync(this.#fd, [all.subarray(written)], at + written);
    return bytes;
  }

  /** Reads up to `bytes.length` bytes at `offset`. Returns the number of bytes read. */
  read(bytes: Buffer, offset: number): number {
    return readSync(this.#fd, bytes, 0, bytes.length, offset);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Closes and deletes it. */
  remove(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }
}

function openNameless(): number {
  const directory = mkdtempSync(join(tmpdir(), 'execplane-journal-'));
  try {
    return openSync(join(directory, 'segment'), 'wx+', 0o600);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Splits a position into its segment and offset. */
export function splitPosition(position: number): { segmentId: number; offset: number } {
  return { segmentId: Math.floor(position / SPAN), offset: position % SPAN };
}

/** Returns the ids of the segments among these file names, oldest first. */
export function segmentIds(names: readonly string[]): number[] {
  return names
    .map((name) => NAME.exec(name)?.[1])
    .filter((id) => id !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

function segmentName(id: number): string {
  return `${String(id).padStart(10, '0')}.log`;
}
