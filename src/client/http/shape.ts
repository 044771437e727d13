/** Checks that an answer has the fields described by src/api: it may come from a proxy, or from an older server. */

/** The type of a field. An array contains the type of its items; an object, its fields: `name?` is optional, `*` is any name. */
export type Field = 'string' | 'number' | 'boolean' | 'any' | readonly [Field] | Fields;
interface Fields {
  readonly [name: string]: Field;
}

declare const TYPE: unique symbol;
/** The fields of an answer of the type T. */
export type Shape<T> = Fields & { readonly [TYPE]?: T };

/**
 * Returns the first difference between a value and a shape, such as "`items[0].status` is missing"; undefined if it has all fields of the
 * shape. Additional fields are allowed, because a newer server may send them.
 */
export function mismatch(value: unknown, field: Field, path = ''): string | undefined {
  if (field === 'any') return undefined;
  if (typeof field === 'string') return expected(typeof value === field, value, `a ${field}`, path);
  if (isList(field)) {
    if (!Array.isArray(value)) return expected(false, value, 'an array', path);
    return firstOf(value.keys(), (index) => mismatch(value[index], field[0], `${path}[${index}]`));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return expected(false, value, 'an object', path);
  }
  return firstOf(Object.keys(field), (name) => mismatchOfField(value, name, field[name] ?? 'any', path));
}

/** Whether a value has all fields of the shape. */
export function hasShape<T>(value: unknown, shape: Shape<T>): value is T {
  return mismatch(value, shape) === undefined;
}

function mismatchOfField(value: object, declared: string, field: Field, path: string): string | undefined {
  const fields = value as Readonly<Record<string, unknown>>;
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  if (declared === '*') return firstOf(Object.keys(fields), (name) => mismatch(fields[name], field, at(name)));
  const name = declared.replace(/\?$/, '');
  if (fields[name] === undefined && name !== declared) return undefined;
  return mismatch(fields[name], field, at(name));
}

function isList(field: Field): field is readonly [Field] {
  return Array.isArray(field);
}

function expected(fits: boolean, value: unknown, typeName: string, path: string): string | undefined {
  if (fits) return undefined;
  const place = path === '' ? 'the answer' : `\`${path}\``;
  return value === undefined ? `${place} is missing` : `${place} is not ${typeName}`;
}

function firstOf<T>(values: Iterable<T>, find: (value: T) => string | undefined): string | undefined {
  for (const value of values) {
    const found = find(value);
    if (found !== undefined) return found;
  }
  return undefined;
}
