import { getSystemErrorMessage } from 'node:util';

/** Returns the code of a system error, such as `ENOENT`. Undefined for any other value. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Returns the reason of a system error in words, such as `permission denied`; of any other error its message. */
export function errorReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' && errno < 0 ? getSystemErrorMessage(errno) : error.message;
}
