/** Patterns of text, each with the error message for a caller. */
export const NO_NUL = '^[^\\u0000]*$';
export const NOT_EMPTY_NO_NUL = '^[^\\u0000]+$';
/** execve(2) splits at the first `=`. Only the server sets EXECUTION_ID. */
export const ENV_NAME = '^(?!EXECUTION_ID$)[^=\\u0000]+$';

const MESSAGES: ReadonlyMap<string, string> = new Map([
  [NO_NUL, 'must not contain NUL'],
  [NOT_EMPTY_NO_NUL, 'must not be empty or contain NUL'],
]);

/** Returns the error message for a text that does not match `pattern`. */
export function patternMessage(pattern: string): string {
  return MESSAGES.get(pattern) ?? `must match ${pattern}`;
}
