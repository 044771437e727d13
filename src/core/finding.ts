/** What `execplane doctor` says of one thing that it looked at. */
export interface Finding {
  /** What was looked at: `disk space`. */
  check: string;
  /** `warn`: it works, and somebody should look. */
  state: 'ok' | 'warn' | 'fail';
  /** What was found. */
  said: string;
  /** What to do about it. */
  cure?: string;
}

/** All is well. */
export function ok(check: string, said: string): Finding {
  return { check, state: 'ok', said };
}

/** It works, and somebody should look. */
export function warn(check: string, said: string, cure: string): Finding {
  return { check, state: 'warn', said, cure };
}

/** It does not work. */
export function fail(check: string, said: string, cure: string): Finding {
  return { check, state: 'fail', said, cure };
}

const MIB = 1024 ** 2;
const SCARCE_BYTES = 1024 * MIB;
const TOO_LITTLE_BYTES = 100 * MIB;

/** Whether `freeBytes` are enough to go on. */
export function judgeSpace(freeBytes: number, cure: string): Finding {
  const said = `${Math.floor(freeBytes / MIB)} MiB free`;
  if (freeBytes < TOO_LITTLE_BYTES) return fail('disk space', said, cure);
  return freeBytes < SCARCE_BYTES ? warn('disk space', said, cure) : ok('disk space', said);
}
