/** Checks whether the agent's directory is still the one that a process started with: open files outlive their directory. */
import { type BigIntStats, statSync } from 'node:fs';
import type { Logger } from 'pino';

const INTERVAL_MS = 10_000;

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
