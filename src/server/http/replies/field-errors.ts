/** From the validator's errors to the `errors` of a 422: where, what, and the value unless it could be a secret. */
import type { TLocalizedValidationError } from 'typebox/error';
import type { FieldError } from './problem.ts';
import { patternMessage } from '../../../api/patterns.ts';

const MAX_ERRORS = 100;
const MAX_VALUE_CHARS = 256;

/** One entry a location, in the order found, at most a hundred. `body` is what was validated. */
export function fieldErrors(errors: readonly TLocalizedValidationError[], body: unknown): FieldError[] {
  const byLocation = new Map<string, FieldError>();
  for (const error of errors) {
    for (const found of readError(error, body)) {
      if (byLocation.size >= MAX_ERRORS) return [...byLocation.values()];
      if (!byLocation.has(found.location)) byLocation.set(found.location, found);
    }
  }
  return [...byLocation.values()];
}

/** `body.command[1]`: `path` is object keys and array indices from the body's root, `body` tells which is which. */
export function locationOf(path: readonly string[], body: unknown): string {
  let location = 'body';
  let parent = body;
  for (const key of path) {
    location += Array.isArray(parent) ? `[${key}]` : `.${key}`;
    parent = childOf(parent, key);
  }
  return location;
}

function readError(error: TLocalizedValidationError, body: unknown): FieldError[] {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  switch (error.keyword) {
    case 'additionalProperties':
      // Each of them has an error of its own.
      return [];
    case 'required':
      return error.params.requiredProperties.map((name) => ({
        location: locationOf([...path, name], body),
        message: 'is required',
      }));
    case 'boolean':
      return [{ location: locationOf(path, body), message: unknownField(path) }];
    case 'pattern':
      return [fieldError(path, body, patternMessage(String(error.params.pattern)))];
    case 'enum':
      return [fieldError(path, body, `must be one of ${error.params.allowedValues.join(', ')}`)];
    default:
      return [fieldError(path, body, error.message)];
  }
}

function unknownField(path: readonly string[]): string {
  if (path[0] !== 'env') return 'is not a field of this request';
  return path[1] === 'EXECUTION_ID' ? 'is set by the server' : 'a name must not be empty nor hold = or NUL';
}

function fieldError(path: readonly string[], body: unknown, message: string): FieldError {
  const value = path.reduce(childOf, body);
  const error: FieldError = { location: locationOf(path, body), message };
  if (isSecret(path)) return error;
  if (typeof value === 'string') return { ...error, value: value.slice(0, MAX_VALUE_CHARS).toWellFormed() };
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return { ...error, value };
  return error;
}

/** Fields whose value must not come back, not even in part. */
const SECRETS: ReadonlySet<string | undefined> = new Set(['env', 'stdin', 'join_token', 'credential']);

/** At the root, what was sent instead of an object may be anything. */
function isSecret(path: readonly string[]): boolean {
  return path.length === 0 || SECRETS.has(path[0]);
}

function childOf(parent: unknown, key: string): unknown {
  return typeof parent === 'object' && parent !== null && Object.hasOwn(parent, key)
    ? (parent as Record<string, unknown>)[key]
    : undefined;
}
