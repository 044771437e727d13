/** Patterns of text in requests, each with the error message for a caller. */
import { AUTOSLEEP_PATTERN } from '../core/machines/autosleep.ts';
import { LABEL_KEY_PATTERN, NO_NUL } from '../core/machines/labels.ts';
import { MACHINE_NAME_PATTERN } from '../core/machines/machine-name.ts';

export { NO_NUL };
export const NOT_EMPTY_NO_NUL = '^[^\\u0000]+$';
/** execve(2) splits at the first `=`. Only the server sets EXECUTION_ID. */
export const ENV_NAME = '^(?!EXECUTION_ID$)[^=\\u0000]+$';
export const MACHINE_ID_PATTERN = '^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$';
export const EXECUTION_ID_PATTERN = '^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$';
export const HTTP_URL_PATTERN = '^https?://';
export const ATTRIBUTE_NAME_PATTERN = '^[A-Za-z0-9_.-]{1,63}$';
export const AUDIT_ID_PATTERN = '^[0-9]{1,15}$';
/** A positive duration: seconds, or `w d h m s`, each once and in that order. */
export const INTERVAL_PATTERN = '^(?!0*[wdhms]*$)([0-9]+|(?=[0-9])([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?)$';

const MESSAGES: ReadonlyMap<string, string> = new Map([
  [NO_NUL, 'must not contain NUL'],
  [NOT_EMPTY_NO_NUL, 'must not be empty or contain NUL'],
  [ENV_NAME, 'a name must not be empty or contain = or NUL'],
  [MACHINE_ID_PATTERN, 'must be dm- and then lower-case letters, digits and hyphens, such as dm-web-1'],
  [EXECUTION_ID_PATTERN, 'must be an id: letters, digits, and . _ - between them'],
  [
    MACHINE_NAME_PATTERN,
    'must be 1 to 63 of a-z 0-9 . _ -, begin and end with a letter or a digit, and not begin with dm-',
  ],
  [AUTOSLEEP_PATTERN, 'must be never, seconds, or a duration such as 7d or 1h30m'],
  [INTERVAL_PATTERN, 'must be more than 0: seconds, or a duration such as 1h30m'],
  [AUDIT_ID_PATTERN, 'must be the audit_id of an entry'],
  [HTTP_URL_PATTERN, 'must begin with http:// or https://'],
  [LABEL_KEY_PATTERN, 'a label key must be 1 to 63 of a-z 0-9 . _ / -, and begin and end with a letter or a digit'],
  [ATTRIBUTE_NAME_PATTERN, 'an attribute name must be 1 to 63 of A-Z a-z 0-9 . _ -'],
]);

/** Returns the error message for a text that does not match `pattern`. */
export function patternMessage(pattern: string): string {
  return MESSAGES.get(pattern) ?? `must match ${pattern}`;
}
