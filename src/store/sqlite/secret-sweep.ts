/** Old copies of wiped secrets live on in the write-ahead log until it is cut: done as soon as the store is idle. */
import type { Database } from './database.ts';

export interface SecretSweep {
  /** A sealed input was deleted. */
  wiped(): void;
  /** Nothing waits to be written. */
  idle(): void;
  close(): void;
}

/** How long the store has to be idle first, and how long it may be busy at most, ms. */
const IDLE_MS = 250;
const BUSY_MS = 30_000;

/** Sweeps `db`; owns one timer, which keeps no process alive. */
export function createSecretSweep(db: Database): SecretSweep {
  let since: number | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** TRUNCATE overwrites in the file what the log has in a newer version, then cuts the log to nothing. */
  function sweep(): void {
    timer = undefined;
    try {
      const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
      if (result?.busy === 0) since = undefined;
    } catch {
      // The disk is in trouble, as the next write will tell: the one after it brings us here again.
    }
  }

  return {
    wiped() {
      since ??= performance.now();
    },
    idle() {
      if (since === undefined) return;
      clearTimeout(timer);
      const wait = Math.min(IDLE_MS, Math.max(0, since + BUSY_MS - performance.now()));
      timer = setTimeout(sweep, wait).unref();
    },
    close() {
      clearTimeout(timer);
    },
  };
}
