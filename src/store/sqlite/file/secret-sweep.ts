/** Old copies of wiped secrets live on in the write-ahead log until it is cut: done as soon as the store is idle. */
import { BUSY_TIMEOUT_MS, type Database } from './database.ts';

export interface SecretSweep {
  /** A sealed input was deleted. */
  wiped(): void;
  /** Nothing waits to be written. */
  idle(): void;
  close(): void;
}

/** How long the store has to be idle first, how long it may be busy at most, and when a sweep that failed is tried again, ms. */
const IDLE_MS = 250;
const BUSY_MS = 30_000;
const RETRY_MS = 1000;

/** Sweeps `db`, for the first time after what a crash may have left; owns one timer, which keeps no process alive. */
export function createSecretSweep(db: Database): SecretSweep {
  let since: number | undefined = performance.now();
  let timer = schedule(IDLE_MS);

  function schedule(waitMs: number): NodeJS.Timeout {
    return setTimeout(sweep, waitMs).unref();
  }

  function sweep(): void {
    if (cutLog(db)) since = undefined;
    else timer = schedule(RETRY_MS);
  }

  return {
    wiped() {
      since ??= performance.now();
    },
    idle() {
      if (since === undefined) return;
      clearTimeout(timer);
      timer = schedule(Math.min(IDLE_MS, Math.max(0, since + BUSY_MS - performance.now())));
    },
    close() {
      clearTimeout(timer);
    },
  };
}

/**
 * Overwrites in the file what the log has in a newer version, then cuts the log to nothing; false where a reader of another process
 * (a backup) still needs it, which is not waited for, or where the disk is in trouble, which the next write will tell.
 */
function cutLog(db: Database): boolean {
  try {
    db.pragma('busy_timeout = 0');
    const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    return result?.busy === 0;
  } catch {
    return false;
  } finally {
    db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }
}
