/**
 * Creates directories, detects that the agent's directory was removed (open files outlive their directory), and notices changes of directories
 * by inotify(7), so that they need not be looked at each time.
 */
import { type BigIntStats, existsSync, type FSWatcher, mkdirSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { errorCode } from './error-code.ts';

const INTERVAL_MS = 10_000;
/** Time for which the result of a look counts, ms: changes of a network file system by other machines cause no notice. */
const MAX_AGE_MS = 1000;
/** Only inotify reports a change before the change returns. On other systems directories are not watched. */
const HAS_INOTIFY = process.platform === 'linux';

/**
 * Creates a directory with its parents; an existing one keeps its mode. Throws the error of the system. Node's own `recursive` never returns
 * below a folder such as /proc, whose mkdir(2) fails with ENOENT (Node 24).
 */
export function makeDirectory(path: string, mode: number): void {
  const parent = dirname(path);
  try {
    mkdirSync(path, { mode });
    return;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST' && statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(parent)) throw error;
  }
  makeDirectory(parent, mode);
  makeDirectory(path, mode);
}

/** Identifies a directory by device and inode. */
export class DirectoryPresence {
  readonly #directory: string;
  readonly #first: BigIntStats;

  /** Throws if there is no such directory. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#first = statSync(directory, { bigint: true });
  }

  /** Returns false if it was removed, or replaced by another one. */
  get present(): boolean {
    try {
      const now = statSync(this.#directory, { bigint: true });
      return now.ino === this.#first.ino && now.dev === this.#first.dev;
    } catch {
      return false;
    }
  }

  get removedMessage(): string {
    return `The directory of the agent (${this.#directory}) was removed while the agent runs: restart the agent.`;
  }
}

/** Logs an error once if the directory is removed. Returns the function that stops the check. */
export function watchDirectory(directory: string, log: Pick<Logger, 'error'>, intervalMs = INTERVAL_MS): () => void {
  const presence = new DirectoryPresence(directory);
  const timer = setInterval(() => {
    if (presence.present) return;
    clearInterval(timer);
    log.error(presence.removedMessage);
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * Watches a directory up to its first change: an entry was added, removed, renamed or written, or the directory itself was removed, renamed or
 * set. The kernel queues the notice before the change returns. So a notice comes in the turn of the event loop in which anything that followed
 * the change arrives, and a callback of setImmediate in that turn finds it.
 */
export class ChangeWatch {
  #watcher: FSWatcher | undefined;

  constructor(directory: string) {
    if (!HAS_INOTIFY) return;
    try {
      this.#watcher = watch(directory, { persistent: false }, () => this.close()).on('error', () => this.close());
    } catch {
      // It does not exist, or the user has no watches left.
    }
  }

  /** False after the first change, and for a directory that cannot be watched. */
  get unchanged(): boolean {
    return this.#watcher !== undefined;
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}

/** Remembers a fact about a directory. Computes it again after the directory has changed, and after a second. */
export class LastLook<T> {
  readonly #directory: string;
  readonly #look: () => T;
  #watch: ChangeWatch | undefined;
  #seen: { value: T; at: number } | undefined;

  /** `look` computes the fact, from the directory and its direct entries alone. */
  constructor(directory: string, look: () => T) {
    this.#directory = directory;
    this.#look = look;
  }

  get value(): T {
    const now = performance.now();
    if (this.#seen !== undefined && this.#watch?.unchanged && now - this.#seen.at < MAX_AGE_MS) return this.#seen.value;
    // It is watched before the look, so that no change between them is missed.
    if (!this.#watch?.unchanged) this.#watch = new ChangeWatch(this.#directory);
    this.#seen = { value: this.#look(), at: now };
    return this.#seen.value;
  }

  close(): void {
    this.#watch?.close();
  }
}
