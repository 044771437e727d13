import { randomBytes } from 'node:crypto';

/** Generates request ids: a random part for the process and a rising number, which is unique and cheap. */
export function createRequestIds(): () => string {
  const prefix = `req-${randomBytes(9).toString('base64url')}`;
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}
