/** Renders an operation: its parameters and answers, and a form to try it, which assets/docs/try.js sends. */
import type { OpenApiDocument, Operation } from './openapi.ts';
import type { JsonSchema } from './schema-objects.ts';
import { code, escapeHtml, nameOf, renderType, row, text } from './html.ts';

type Schemas = OpenApiDocument['components']['schemas'];

/** Returns one operation as HTML. */
export function renderOperation(path: string, method: string, operation: Operation, schemas: Schemas): string {
  const verb = escapeHtml(method.toUpperCase());
  const fields = [...operation.parameters.map(renderParameter), ...renderAccept(operation)];
  const bodies = Object.entries(operation.requestBody?.content ?? {}).map(([type, { schema }]) =>
    renderBody(type, schema, schemas),
  );
  return `<details id="${escapeHtml(operation.operationId)}"><summary><b>${verb}</b> ${code(path)}<br>${escapeHtml(operation.summary)}</summary>
<form data-method="${verb}" data-path="${escapeHtml(path)}"><table>${fields.join('')}</table>${bodies.join('')}
<p><button name="send">Send</button> <button name="stop" type="button" disabled>Stop</button>
<button name="curl" type="button">Copy as curl</button></p><pre></pre></form>
<h4>Answers</h4><table>${renderAnswers(operation).join('')}</table></details>`;
}

function renderParameter({ name, in: place, required, description, schema }: Operation['parameters'][number]): string {
  const [example] = (schema['examples'] ?? []) as readonly unknown[];
  const hint = example === undefined ? '' : ` placeholder="${escapeHtml(String(example))}"`;
  const input = `<input ${names(name, place)}${hint}${required ? ' required' : ''} autocomplete="off" spellcheck="false">`;
  return row([code(name), escapeHtml(place), renderType(schema), text(description), input]);
}

/** Returns a field for the media type of the answer, if there are several. */
function renderAccept({ responses }: Operation): string[] {
  const answer = responses['200'];
  if (answer?.['x-event-stream'] === undefined) return [];
  const types = [...Object.keys(answer.content ?? {}), 'text/event-stream'];
  const options = types.map((type) => `<option>${escapeHtml(type)}</option>`);
  return [row([code('Accept'), 'header', '', '', `<select ${names('Accept', 'header')}>${options.join('')}</select>`])];
}

function renderBody(type: string, schema: JsonSchema, schemas: Schemas): string {
  const example = type === 'application/json' ? JSON.stringify(exampleOf(schema, schemas), undefined, 2) : '';
  const field = `<textarea ${names(type, 'body')} rows="8" spellcheck="false">${escapeHtml(example)}</textarea>`;
  return `<p>Body: ${code(type)} ${renderType(schema)}</p>${field}`;
}

function names(name: string, place: string): string {
  return `name="${escapeHtml(name)}" data-in="${place}" aria-label="${escapeHtml(name)}"`;
}

/** Returns an example body: the required fields with their example values. */
function exampleOf(schema: JsonSchema, schemas: Schemas): unknown {
  const { $ref: reference } = schema as { $ref?: string };
  const { required = [], properties = {} } = (reference === undefined ? schema : schemas[nameOf(reference)]) as {
    required?: readonly string[];
    properties?: Record<string, { examples?: readonly unknown[] }>;
  };
  return Object.fromEntries(required.map((name) => [name, properties[name]?.examples?.[0]]));
}

function renderAnswers({ responses }: Operation): string[] {
  return Object.entries(responses).map(([status, { description, content }]) => {
    const [first] = Object.values(content ?? {});
    return row([code(status), text(description), first ? renderType(first.schema) : '']);
  });
}
