/** Patterns of text, each with the sentence that tells a caller what is wrong. */
export const NO_NUL = '^[^\\u0000]*$';
export const NOT_EMPTY_NO_NUL = '^[^\\u0000]+$';
/** execve(2) splits at the first `=`; EXECUTION_ID is the server's to set. */
export const ENV_NAME = '^(?!EXECUTION_ID$)[^=\\u0000]+$';

const MESSAGES: ReadonlyMap<string, string> = new Map([
  [NO_NUL, 'must not hold NUL'],
  [NOT_EMPTY_NO_NUL, 'must not be empty nor hold NUL'],
]);

/** What to tell a caller whose text does not fit `pattern`. */
export function patternMessage(pattern: string): string {
  return MESSAGES.get(pattern) ?? `must match ${pattern}`;
}
