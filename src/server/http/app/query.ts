/** Parses query parameters: integers above their maximum are clamped, lists are comma-separated, unknown names are ignored. */
import type { TSchema } from 'typebox';
import { patternMessage } from '../../../api/patterns.ts';
import { type FieldError, invalid } from '../replies/problem.ts';

interface Parameter extends TSchema {
  type?: string;
  minimum?: number;
  maximum?: number;
  default?: unknown;
  enum?: readonly string[];
  explode?: boolean;
  /** Items that are dropped without an error. */
  ignored?: readonly string[];
  format?: string;
  pattern?: string;
  maxLength?: number;
  items?: Parameter;
}
type Reading = { value: string | number | boolean | string[] } | { message: string };
type Query = Readonly<Record<string, string | string[] | undefined>>;

/** Returns a validator for Fastify: it returns the parsed query, or a 422. */
export function queryReader(schema: TSchema): (query: unknown) => { value: unknown } | { error: Error } {
  const { properties } = schema as TSchema & { properties: Record<string, Parameter> };
  const parameters = Object.entries(properties);
  return (rawQuery) => {
    const query = (rawQuery ?? {}) as Query;
    const value: Record<string, unknown> = {};
    const errors: FieldError[] = [];
    for (const [name, parameter] of parameters) {
      const raw = query[name];
      if (raw === undefined) {
        if (parameter.default !== undefined) value[name] = parameter.default;
        continue;
      }
      const reading = readGiven(parameter, raw);
      if ('value' in reading) value[name] = reading.value;
      else
        errors.push({
          location: `query.${name}`,
          message: reading.message,
          value: String(raw).slice(0, 256).toWellFormed(),
        });
    }
    return errors.length === 0 ? { value } : { error: invalid(errors) };
  };
}

/** Reads a parameter that may occur several times: a list may also be given as several parameters of the same name. */
function readGiven(parameter: Parameter, raw: string | string[]): Reading {
  if (parameter.type === 'array') return readList(parameter, [raw].flat());
  return Array.isArray(raw) ? { message: 'must be given once' } : read(parameter, raw);
}

/** Reads a list. Its items are separated by commas, unless it may only be given as several parameters. */
function readList({ items = {}, explode = false, ignored = [] }: Parameter, raw: readonly string[]): Reading {
  const all = explode ? raw : raw.flatMap((text) => text.split(','));
  const values = [...new Set(all.filter((value) => value !== '' && !ignored.includes(value)))];
  const unknown = values.map((value) => read(items, value)).find((reading) => 'message' in reading);
  return unknown ?? { value: values };
}

function read(parameter: Parameter, raw: string): Reading {
  if (parameter.type === 'integer') return readInteger(parameter, raw);
  if (parameter.type === 'boolean') {
    return raw === 'true' || raw === 'false' ? { value: raw === 'true' } : { message: 'must be true or false' };
  }
  if (parameter.enum !== undefined && !parameter.enum.includes(raw)) {
    return { message: `must be one of ${parameter.enum.join(', ')}` };
  }
  if (parameter.format === 'date-time' && !isTime(raw))
    return { message: 'must be a time such as 2026-01-31T12:00:00Z' };
  return readText(parameter, raw);
}

/** Reads a text. NUL is refused in all of them: no stored text contains it, and PostgreSQL fails at it. */
function readText({ pattern, maxLength = Number.POSITIVE_INFINITY }: Parameter, raw: string): Reading {
  if (raw.length > maxLength) return { message: `must not have more than ${maxLength} characters` };
  if (raw.includes('\0')) return { message: 'must not contain NUL' };
  const isMatch = pattern === undefined || new RegExp(pattern, 'u').test(raw);
  return isMatch ? { value: raw } : { message: patternMessage(pattern) };
}

/** Whether a text is a time by RFC 3339 with a zone. A `+` that was not encoded in the query is read as a space. */
function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(text) && !Number.isNaN(Date.parse(text));
}

function readInteger({ minimum = 0, maximum }: Parameter, raw: string): Reading {
  if (!/^[0-9]+$/.test(raw)) return { message: `must be an integer of at least ${minimum}` };
  const value = Math.min(Number(raw), maximum ?? Number.POSITIVE_INFINITY);
  if (!Number.isSafeInteger(value)) return { message: 'is too large' };
  return value < minimum ? { message: `must be at least ${minimum}` } : { value };
}
