/** The page that shows the OpenAPI document, with a form for each operation. It is one file and loads nothing from another host. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { code, escapeHtml, renderType, row, text } from './html.ts';
import { renderOperation } from './operation.ts';
import type { OpenApiDocument } from './openapi.ts';
import type { JsonSchema } from './schema-objects.ts';

const ASSETS = new URL('../../../../assets/docs/', import.meta.url);

export interface DocsPage {
  html: string;
  /** The Content-Security-Policy of the page: its own style and script, requests to its own server, and nothing else. */
  policy: string;
}

/** Builds the page for an OpenAPI document. */
export function docsPage(document: OpenApiDocument): DocsPage {
  const style = readFileSync(new URL('style.css', ASSETS), 'utf8');
  const script = readFileSync(new URL('try.js', ASSETS), 'utf8');
  const { title, version, description } = document.info;
  const links = [...document.tags.map(({ name }) => name), 'Schemas'].map(
    (tag) => `<a href="#${escapeHtml(tag)}">${escapeHtml(tag)}</a>`,
  );
  const sections = document.tags.map((tag) => renderSection(tag, document));
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} API</title><style>${style}</style></head><body>
<h1>${escapeHtml(title)} <small>${escapeHtml(version)}</small></h1><p>${escapeHtml(description)}
The document behind this page: <a href="/openapi.json">openapi.json</a>.</p>
<p>Every request needs a key: <code>Authorization: Bearer KEY</code> or <code>x-api-key: KEY</code>.
A key that you fill in here stays in its field, and goes to this server with what you send.
A machine or an execution that you name once is filled in everywhere.</p>
<p class="common"><label>Key <input id="key" type="password" autocomplete="off" spellcheck="false"></label>
<label>Machine <input name="machine_id" placeholder="dm-build-1" autocomplete="off" spellcheck="false"></label></p>
<nav aria-label="Sections">${links.join('')}</nav>${sections.join('')}<h2 id="Schemas">Schemas</h2>${renderSchemas(document).join('')}
<script>${script}</script></body></html>
`;
  const policy = [
    "default-src 'none'",
    `style-src ${hashOf(style)}`,
    `script-src ${hashOf(script)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return { html, policy };
}

function hashOf(inline: string): string {
  return `'sha256-${createHash('sha256').update(inline).digest('base64')}'`;
}

function operationsOf({ paths }: OpenApiDocument) {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

function renderSection({ name, description }: OpenApiDocument['tags'][number], document: OpenApiDocument): string {
  const operations = operationsOf(document).filter(({ operation }) => operation.tags.includes(name));
  const rendered = operations.map(({ path, method, operation }) =>
    renderOperation(path, method, operation, document.components.schemas),
  );
  return `<h2 id="${escapeHtml(name)}">${escapeHtml(name)}</h2><p>${escapeHtml(description)}</p>${rendered.join('')}`;
}

function renderSchemas({ components }: OpenApiDocument): string[] {
  return Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details id="${escapeHtml(name)}"><summary>${code(name)} ${text(schema['description'])}</summary>${renderFields(schema)}</details>`,
  );
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
      `${code(name)}${required.includes(name) ? '' : ' (optional)'}`,
      renderType(field),
      text(field['description']),
      renderExamples(field['examples']),
    ]),
  );
  return `<table>${rows.join('')}</table>${renderExamples(examples)}`;
}

function renderExamples(examples: unknown): string {
  const [example] = Array.isArray(examples) ? examples : [];
  return example === undefined ? '' : code(JSON.stringify(example));
}
