/** The page that renders the OpenAPI document: one file, no script, nothing from another host. */
import { createHash } from 'node:crypto';
import type { JsonSchema, OpenApiDocument, Operation } from './openapi.ts';

const STYLE = `
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent);--soft:color-mix(in srgb,currentColor 6%,transparent)}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1.5rem}
code,pre{font:.875em/1.5 ui-monospace,monospace}
h2{margin-top:3rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:.5rem 1rem}
summary{cursor:pointer}
summary b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%}
td,th{border-top:1px solid var(--line);padding:.35rem .75rem .35rem 0;text-align:left;vertical-align:top}
pre{background:var(--soft);border-radius:.5rem;overflow:auto;padding:.75rem}
nav a{margin-right:1rem}
`;

export interface DocsPage {
  html: string;
  /** The Content-Security-Policy under which it works: its own style, and nothing else. */
  policy: string;
}

export function docsPage(document: OpenApiDocument): DocsPage {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(tag));
    const rendered = own.map(({ path, method, operation }) => renderOperation(path, method, operation));
    return `<h2 id="${escapeHtml(tag)}">${escapeHtml(tag)}</h2>${rendered.join('')}`;
  });
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `<details id="${escapeHtml(name)}"><summary><code>${escapeHtml(name)}</code> ${text(schema['description'])}</summary>${renderFields(schema)}</details>`,
  );
  const links = [...tags, 'Schemas'].map((tag) => `<a href="#${escapeHtml(tag)}">${escapeHtml(tag)}</a>`);
  const { title, version, description } = document.info;
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)} API</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(title)} <small>${escapeHtml(version)}</small></h1><p>${escapeHtml(description)}
The document behind this page: <a href="/openapi.json">openapi.json</a>.</p>
<p>Every request needs a key: <code>Authorization: Bearer KEY</code> or <code>x-api-key: KEY</code>.</p>
<nav>${links.join('')}</nav>${sections.join('')}<h2 id="Schemas">Schemas</h2>${schemas.join('')}</body></html>
`;
  const styleHash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return { html, policy };
}

function renderOperation(path: string, method: string, operation: Operation): string {
  const parameters = operation.parameters.map((parameter) =>
    row([
      `<code>${escapeHtml(parameter.name)}</code>`,
      escapeHtml(parameter.in),
      renderType(parameter.schema),
      text(parameter.description),
    ]),
  );
  const body = Object.entries(operation.requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<p>Body: <code>${escapeHtml(type)}</code> ${renderType(schema)}</p>`,
  );
  const responses = Object.entries(operation.responses).map(([status, response]) => {
    const [content] = Object.values(response.content ?? {});
    return row([
      `<code>${escapeHtml(status)}</code>`,
      text(response.description),
      content ? renderType(content.schema) : '',
    ]);
  });
  return `<details id="${escapeHtml(operation.operationId)}"><summary><b>${escapeHtml(method.toUpperCase())}</b> <code>${escapeHtml(path)}</code><br>${escapeHtml(operation.summary)}</summary>
<table>${parameters.join('')}</table>${body.join('')}<h4>Answers</h4><table>${responses.join('')}</table></details>`;
}

function renderFields(schema: JsonSchema): string {
  const {
    properties = {},
    required = [],
    examples,
  } = schema as {
    properties?: Record<string, JsonSchema>;
    required?: readonly string[];
    examples?: readonly unknown[];
  };
  const rows = Object.entries(properties).map(([name, field]) =>
    row([
      `<code>${escapeHtml(name)}</code>${required.includes(name) ? '' : ' (optional)'}`,
      renderType(field),
      text(field['description']),
      renderExamples(field['examples']),
    ]),
  );
  return `<table>${rows.join('')}</table>${renderExamples(examples)}`;
}

function renderType(schema: JsonSchema): string {
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
    const name = reference.slice(reference.lastIndexOf('/') + 1);
    return `<a href="#${escapeHtml(name)}">${escapeHtml(name)}</a>`;
  }
  if (values !== undefined) return values.map((value) => `<code>${escapeHtml(String(value))}</code>`).join(' ');
  return items === undefined ? escapeHtml(type ?? 'any') : `array of ${renderType(items)}`;
}

function renderExamples(examples: unknown): string {
  const [example] = Array.isArray(examples) ? examples : [];
  return example === undefined ? '' : `<code>${escapeHtml(JSON.stringify(example))}</code>`;
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

function text(value: unknown): string {
  return value === undefined ? '' : escapeHtml(String(value));
}

function escapeHtml(raw: string): string {
  return raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
