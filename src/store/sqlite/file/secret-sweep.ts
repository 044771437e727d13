/** Truncates the write-ahead log once the store is idle, because it contains old copies of erased secrets. */
import { BUSY_TIMEOUT_MS, type Database } from './database.ts';

export interface SecretSweep {
  /** Called when a sealed input was deleted. */
  wiped(): void;
  /** Called when no write waits. */
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
 * Writes the newer pages of the log into the file, then truncates the log. Returns false if a reader of another process (a backup) still
 * needs the log (it does not wait for the reader), or if the disk has errors, which the next write will report.
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
