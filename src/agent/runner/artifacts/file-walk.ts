/**
 * Walks folders that belong to a command, which may change them meanwhile. Each step goes through an open descriptor and follows no
 * symbolic link, so that nothing outside the folder is ever opened.
 */
import { closeSync, constants, lstatSync, opendirSync, openSync, type Stats } from 'node:fs';
import { isArtifactName } from '../../../core/artifact.ts';
import { matchesPath } from '../policy/glob.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Maximum number of names that are visited. The walk of a folder with more ends early. */
const MAX_ENTRIES = 10_000;
const MAX_DEPTH = 64;

/** A regular file, or the reason why an entry is skipped. Call `open` before the next step of the walk. */
export type Found = { path: string; open: () => number } | { path: string; reason: string };

/** Walks a folder and yields its files. Follows no symbolic link. */
export class FileWalk {
  #entries = 0;

  /** Yields all files below `folder`, by name. */
  *all(folder: string): Generator<Found> {
    yield* this.#inFolder(folder, () => true);
  }

  /** Yields the files below `cwd` that a pattern matches. */
  *matching(cwd: string, pattern: string): Generator<Found> {
    const patterns = withoutFolders(pattern.replace(/\/$/, '').replace(/^(\.\/)+/, ''));
    const segments = patterns.map((one) => one.split('/'));
    const isWanted = (path: string) => patterns.some((one) => matchesPath(one, path) || matchesPath(`${one}/**`, path));
    const leadsOn = (path: string) => segments.some((some) => mayLeadTo(some, path.split('/'))) || isWanted(path);
    for (const found of this.#inFolder(cwd, leadsOn)) if (isWanted(found.path)) yield found;
  }

  *#inFolder(folder: string, enters: (path: string) => boolean): Generator<Found> {
    const descriptor = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      yield* this.#walk(descriptor, '', enters, 0);
    } finally {
      closeSync(descriptor);
    }
  }

  *#walk(directory: number, prefix: string, enters: (path: string) => boolean, depth: number): Generator<Found> {
    for (const name of this.#names(directory)) {
      const path = `${prefix}${textOf(name)}`;
      const at = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
      const stats = lstatSync(at, { throwIfNoEntry: false });
      const reason = stats && reasonAgainst(stats, path, name);
      if (stats === undefined) continue;
      if (reason !== undefined) yield { path, reason };
      else if (!stats.isDirectory()) yield { path, open: () => openSync(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) };
      else if (depth === MAX_DEPTH) yield { path, reason: `it is nested more than ${MAX_DEPTH} deep` };
      else if (enters(path)) yield* this.#below(at, path, enters, depth);
    }
    if (this.#entries === MAX_ENTRIES && depth === 0) {
      yield { path: prefix, reason: `there are more than ${MAX_ENTRIES} entries` };
    }
  }

  *#below(at: Buffer, path: string, enters: (path: string) => boolean, depth: number): Generator<Found> {
    let descriptor: number;
    try {
      descriptor = openSync(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      yield { path, reason: (error as Error).message };
      return;
    }
    try {
      yield* this.#walk(descriptor, `${path}/`, enters, depth + 1);
    } finally {
      closeSync(descriptor);
    }
  }

  /** Returns the names in a directory, sorted; as bytes, since they need not be UTF-8. */
  #names(directory: number): Buffer[] {
    const names: Buffer[] = [];
    // The types allow only strings here, but with this encoding the names are buffers.
    const entries = opendirSync(`/proc/self/fd/${directory}`, { encoding: 'buffer' as BufferEncoding });
    try {
      while (this.#entries < MAX_ENTRIES) {
        const entry = entries.readSync();
        if (entry === null) break;
        this.#entries += 1;
        names.push(Buffer.from(entry.name));
      }
    } finally {
      entries.closeSync();
    }
    return names.sort(Buffer.compare);
  }
}

/** Number of segments `**` of a pattern that may stand for no folder. Each one doubles the patterns. */
const MAX_ABSENT = 4;

/** Returns the pattern, and all patterns in which a segment `**` stands for no folder: as in a shell, `a/**` + `/b` also matches `a/b`. */
function withoutFolders(pattern: string): string[] {
  let patterns = [pattern.split('/')];
  for (let at = patterns[0]?.length ?? 0, left = MAX_ABSENT; at >= 0 && left > 0; at -= 1) {
    // The last segment `**` stands for the files.
    if (patterns[0]?.[at] !== '**' || at === patterns[0].length - 1) continue;
    patterns = patterns.flatMap((segments) => [segments, segments.toSpliced(at, 1)]);
    left -= 1;
  }
  return patterns.map((segments) => segments.join('/'));
}

/** Whether a directory may hold, at some depth, a file that a pattern of these segments matches. */
function mayLeadTo(pattern: readonly string[], directory: readonly string[]): boolean {
  for (const [depth, segment] of directory.entries()) {
    const wanted = pattern[depth];
    if (wanted === undefined) return false;
    if (wanted.includes('**')) return true;
    if (!matchesPath(wanted, segment)) return false;
  }
  return true;
}

function reasonAgainst(stats: Stats, path: string, name: Buffer): string | undefined {
  if (!Buffer.from(name.toString('utf8')).equals(name)) return 'its name is not UTF-8';
  if (!isArtifactName(path)) return 'its name is too long';
  if (stats.isDirectory()) return undefined;
  if (stats.isSymbolicLink()) return 'it is a symbolic link';
  if (!stats.isFile()) return 'it is not a regular file';
  if (stats.nlink > 1 && stats.uid !== process.getuid?.()) return 'it is a hard link to a file of another user';
  return undefined;
}

function textOf(name: Buffer): string {
  return name.toString('utf8');
}
