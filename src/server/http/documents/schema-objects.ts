/** Converts the schemas of routes to OpenAPI schemas, in a form from which client generators make correct code. */
import type { TSchema } from 'typebox';
import { COMPONENTS } from '../../../api/components.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

const MAX_INT32 = 2_147_483_647;

/** Names of schemas by their properties object, which is shared by the copy of a schema for an optional field. */
const NAMES: ReadonlyMap<unknown, string> = new Map(
  Object.entries(COMPONENTS).map(([name, schema]) => [schema.properties, name]),
);

/** Raw bytes. */
export const BINARY: JsonSchema = { type: 'string', format: 'binary', description: 'The bytes as they are.' };

/** Returns a reference if the schema has a name, else the schema itself. */
export function refer(schema: unknown): JsonSchema {
  const name = NAMES.get((schema as { properties?: unknown }).properties);
  return name === undefined ? inline(schema) : { $ref: `#/components/schemas/${name}` };
}

/** Returns the schema itself as an OpenAPI schema, even if it has a name. */
export function inline(schema: unknown): JsonSchema {
  const copy = Object.fromEntries(Object.entries(schema as object).map(([key, value]) => [key, referInside(value)]));
  return forGenerators(copy);
}

/**
 * Returns the fields of a route's path or query. A query parameter above its maximum is clamped, so the document contains no maximum.
 */
export function parameterSchemas(schema: TSchema | undefined, place: 'path' | 'query'): [string, JsonSchema][] {
  const { properties = {} } = (schema ?? {}) as { properties?: Record<string, JsonSchema> };
  return Object.entries(properties).map(([name, field]) => {
    const { maximum, ...rest } = inline(field);
    return [name, place === 'query' || maximum === undefined ? rest : { ...rest, maximum }];
  });
}

function referInside(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referInside);
  return typeof value === 'object' && value !== null ? refer(value) : value;
}

/** Adds details for generators: a type for enums, a format for integers, additionalProperties for maps. */
function forGenerators(schema: Record<string, unknown>): JsonSchema {
  const { type, enum: values, maximum, patternProperties, additionalProperties: _, ...rest } = schema;
  if (type === 'object' && patternProperties !== undefined) {
    const [value] = Object.values(patternProperties as Record<string, JsonSchema>);
    return { type, ...rest, additionalProperties: value ?? {} };
  }
  if (type === 'integer' && schema['format'] === undefined) {
    const isSmall = typeof maximum === 'number' && maximum <= MAX_INT32;
    return { ...schema, format: isSmall ? 'int32' : 'int64' };
  }
  const isText = Array.isArray(values) && values.every((value) => typeof value === 'string');
  return isText && type === undefined ? { type: 'string', ...schema } : schema;
}
