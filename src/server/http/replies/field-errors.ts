/** Builds the `errors` of a 422: the fields that fail their schema, the reasons, and their values unless they may be secrets. */
import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { patternMessage } from '../../../api/patterns.ts';
import type { FieldError } from './problem.ts';

const MAX_ERRORS = 100;
const MAX_VALUE_CHARS = 256;
const MAX_LOCATION_CHARS = 1024;

type Path = readonly (string | number)[];

interface ObjectSchema extends TSchema {
  type?: string;
  properties?: Readonly<Record<string, TSchema>>;
  patternProperties?: Readonly<Record<string, TSchema>>;
  required?: readonly string[];
  additionalProperties?: boolean;
  maxProperties?: number;
}
interface ArraySchema extends TSchema {
  items: TSchema;
  maxItems?: number;
}

/**
 * Returns the first hundred fields of `body` that fail `schema`, and stops there: listing every failure of a large body takes minutes.
 */
export function fieldErrors(schema: TSchema, body: unknown): FieldError[] {
  const errors: FieldError[] = [];
  visit(schema, body, [], errors);
  return errors;
}

/** Returns a path such as `body.command[1]`: names of members, and indices of elements. */
export function locationOf(path: Path): string {
  let location = 'body';
  for (const key of path) {
    location += typeof key === 'number' ? `[${key}]` : `.${key}`;
    if (location.length > MAX_LOCATION_CHARS) return `${location.slice(0, MAX_LOCATION_CHARS)}…`.toWellFormed();
  }
  return location;
}

function visit(schema: TSchema, value: unknown, path: Path, errors: FieldError[]): void {
  if (errors.length >= MAX_ERRORS) return;
  if (isObjectSchema(schema) && isObject(value)) visitMembers(schema, value, path, errors);
  else if (isArraySchema(schema) && Array.isArray(value)) visitElements(schema, value, path, errors);
  else visitWhole(schema, value, path, errors);
}

function visitMembers(schema: ObjectSchema, value: Record<string, unknown>, path: Path, errors: FieldError[]): void {
  const { maxProperties } = schema;
  if (maxProperties !== undefined && Object.keys(value).length > maxProperties) {
    errors.push(fieldError(path, value, `must not have more than ${maxProperties} entries`));
    return;
  }
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) errors.push({ location: locationOf([...path, name]), message: 'is required' });
  }
  const { properties = {}, additionalProperties } = schema;
  const [record] = Object.entries(schema.patternProperties ?? {});
  const pattern = record === undefined ? undefined : new RegExp(record[0], 'u');
  for (const name in value) {
    if (errors.length >= MAX_ERRORS) return;
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const member = known ?? (pattern?.test(name) === true ? record?.[1] : undefined);
    const at = [...path, name];
    if (member !== undefined) visit(member, value[name], at, errors);
    else if (additionalProperties === false)
      errors.push({ location: locationOf(at), message: unknownField(at, record?.[0]) });
  }
}

function visitElements(schema: ArraySchema, value: readonly unknown[], path: Path, errors: FieldError[]): void {
  if (value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY)) {
    errors.push(fieldError(path, value, `must not have more than ${schema.maxItems} items`));
    return;
  }
  const elements = validatorOf(schema.items);
  for (const [index, element] of value.entries()) {
    if (errors.length >= MAX_ERRORS) return;
    if (!elements.Check(element)) visit(schema.items, element, [...path, index], errors);
  }
  if (errors.length === 0) visitWhole(schema, value, path, errors);
}

/**
 * Returns the first failure of a value as a whole: a scalar, a value of the wrong type, or an array with too few or repeated elements.
 */
function visitWhole(schema: TSchema, value: unknown, path: Path, errors: FieldError[]): void {
  const [error] = validatorOf(schema).Errors(value);
  if (error !== undefined) errors.push(fieldError(path, value, messageOf(error)));
}

function messageOf(error: TLocalizedValidationError): string {
  if (error.keyword === 'pattern') return patternMessage(String(error.params.pattern));
  if (error.keyword === 'enum') return `must be one of ${error.params.allowedValues.join(', ')}`;
  return error.message;
}

/** Returns the message for an unknown field. `names`: the pattern of the names in a map such as `env`; undefined for fixed fields. */
function unknownField(path: Path, names: string | undefined): string {
  if (names === undefined) return 'is not a field of this request';
  return path[0] === 'env' && path[1] === 'EXECUTION_ID' ? 'is set by the server' : patternMessage(names);
}

function fieldError(path: Path, value: unknown, message: string): FieldError {
  const error: FieldError = { location: locationOf(path), message };
  if (isSecret(path)) return error;
  if (typeof value === 'string') return { ...error, value: value.slice(0, MAX_VALUE_CHARS).toWellFormed() };
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return { ...error, value };
  return error;
}

/** Fields whose values are never returned. */
const SECRETS: ReadonlySet<unknown> = new Set(['env', 'stdin', 'key', 'join_token', 'credential']);

/** Whether the value at a path may be a secret. A value at the root, sent instead of an object, may be one. */
function isSecret(path: Path): boolean {
  return path.length === 0 || SECRETS.has(path[0]);
}

/** Validators, compiled on the first failure of each schema. */
const validators = new WeakMap<TSchema, Validator>();

function validatorOf(schema: TSchema): Validator {
  const known = validators.get(schema);
  if (known !== undefined) return known;
  const made = Compile(schema);
  validators.set(schema, made);
  return made;
}

function isObjectSchema(schema: TSchema): schema is ObjectSchema {
  return (schema as { type?: string }).type === 'object';
}

function isArraySchema(schema: TSchema): schema is ArraySchema {
  return (schema as { type?: string }).type === 'array';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
