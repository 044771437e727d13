/** What `execplane doctor` says of one thing that it looked at. */
export interface Finding {
  /** What was looked at: `disk space`. */
  check: string;
  /** `warn`: it works, and somebody should look. */
  state: 'ok' | 'warn' | 'fail';
  /** What was found. */
  message: string;
  /** What to do about it. */
  remedy?: string;
}

/** All is well. */
export function ok(check: string, message: string): Finding {
  return { check, state: 'ok', message };
}

/** It works, and somebody should look. */
export function warn(check: string, message: string, remedy: string): Finding {
  return { check, state: 'warn', message, remedy };
}

/** It does not work. */
export function fail(check: string, message: string, remedy: string): Finding {
  return { check, state: 'fail', message, remedy };
}

const MIB = 1024 ** 2;
const SCARCE_BYTES = 1024 * MIB;
const TOO_LITTLE_BYTES = 100 * MIB;

/** Whether `freeBytes` are enough to go on. */
export function judgeSpace(freeBytes: number, remedy: string): Finding {
  const message = `${Math.floor(freeBytes / MIB)} MiB free`;
  if (freeBytes < TOO_LITTLE_BYTES) return fail('disk space', message, remedy);
  return freeBytes < SCARCE_BYTES ? warn('disk space', message, remedy) : ok('disk space', message);
}
