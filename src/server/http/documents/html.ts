/** Builds HTML, and escapes all text in it. */
import type { JsonSchema } from './schema-objects.ts';

/** Escapes text for HTML, attributes included. */
export function escapeHtml(raw: string): string {
  return raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** Escapes a text that may be absent. */
export function text(value: unknown): string {
  return value === undefined ? '' : escapeHtml(String(value));
}

/** Returns the escaped text in a `code` element. */
export function code(raw: string): string {
  return `<code>${escapeHtml(raw)}</code>`;
}

/** Returns a row of a table. `cells` are HTML. */
export function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

/** Returns the type of a schema, with a link to it if it has a name. */
export function renderType(schema: JsonSchema): string {
  const {
    $ref: reference,
    type,
    enum: values,
    items,
  } = schema as {
    $ref?: string;
    type?: string;
    enum?: readonly string[];
    items?: JsonSchema;
  };
  if (reference !== undefined) {
    const name = nameOf(reference);
    return `<a href="#${escapeHtml(name)}">${escapeHtml(name)}</a>`;
  }
  if (values !== undefined) return values.map((value) => code(String(value))).join(' ');
  return items === undefined ? escapeHtml(type ?? 'any') : `array of ${renderType(items)}`;
}

/** Returns `Execution` for `#/components/schemas/Execution`. */
export function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}
