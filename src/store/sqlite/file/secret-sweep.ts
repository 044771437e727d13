/** Removes old copies of erased secrets, which stay in the write-ahead log until it is truncated: as soon as the store is idle. */
import { BUSY_TIMEOUT_MS, type Database } from './database.ts';

export interface SecretSweep {
  /** A sealed input was deleted. */
  wiped(): void;
  /** No write waits. */
  idle(): void;
  close(): void;
}

/** Idle time before a sweep, longest time without one while busy, and delay after a failed sweep, ms. */
const IDLE_MS = 250;
const BUSY_MS = 30_000;
const RETRY_MS = 1000;

/** Sweeps `db`, first after a possible crash. Owns one timer, which keeps no process alive. */
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
 * Overwrites in the file the pages that the log has in a newer version, then truncates the log. False if a reader of another process (a
 * backup) still needs it, which is not waited for, or if the disk has errors, which the next write will report.
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
