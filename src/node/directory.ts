/** Creates directories, and detects that the agent's directory was removed: open files outlive their directory. */
import { type BigIntStats, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { errorCode } from './error-code.ts';

const INTERVAL_MS = 10_000;

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
