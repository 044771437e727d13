/** Frees SQLite's page cache some time after the last commit. The system caches the file as well. */
import type { Database } from './database.ts';

const IDLE_MS = 15_000;

/** `idle` is called after each batch of writes. Owns one timer, which keeps no process alive. */
export function createCacheRelease(db: Pick<Database, 'pragma'>): { idle(): void; close(): void } {
  const timer = setTimeout(() => db.pragma('shrink_memory'), IDLE_MS).unref();
  return {
    idle: () => void timer.refresh(),
    close: () => clearTimeout(timer),
  };
}
