/** A finding of `execplane doctor`: the result of one check. */
export interface Finding {
  /** Name of the check, such as `disk space`. */
  check: string;
  /** `warn`: it works, and needs the attention of an operator. */
  state: 'ok' | 'warn' | 'fail';
  /** The message. */
  message: string;
  /** The remedy. */
  remedy?: string;
}

/** Returns a finding without a problem. */
export function ok(check: string, message: string): Finding {
  return { check, state: 'ok', message };
}

/** Returns a finding that works and needs attention. */
export function warn(check: string, message: string, remedy: string): Finding {
  return { check, state: 'warn', message, remedy };
}

/** Returns a finding that does not work. */
export function fail(check: string, message: string, remedy: string): Finding {
  return { check, state: 'fail', message, remedy };
}

const MIB = 1024 ** 2;
const SCARCE_BYTES = 1024 * MIB;
const TOO_LITTLE_BYTES = 100 * MIB;

/** Checks whether `freeBytes` are enough to continue. */
export function judgeSpace(freeBytes: number, remedy: string): Finding {
  const message = `${Math.floor(freeBytes / MIB)} MiB free`;
  if (freeBytes < TOO_LITTLE_BYTES) return fail('disk space', message, remedy);
  return freeBytes < SCARCE_BYTES ? warn('disk space', message, remedy) : ok('disk space', message);
}
