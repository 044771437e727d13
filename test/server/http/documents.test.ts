import { createHash } from 'node:crypto';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect, test } from 'vitest';
import { API_ERRORS } from '../../../src/core/errors.ts';
import type { OpenApiDocument } from '../../../src/server/http/documents/openapi.ts';
import type { JsonSchema } from '../../../src/server/http/documents/schema-objects.ts';
import { Conformance } from '../../helpers/conformance.ts';
import { httpFixture } from './http-fixture.ts';

async function fetchDocument(): Promise<OpenApiDocument> {
  await using http = await httpFixture();
  const answer = await http.call('GET', '/openapi.json', { key: undefined });
  expect(answer.status).toBe(200);
  return answer.body as unknown as OpenApiDocument;
}

function propertiesOf(schema: JsonSchema | undefined): Record<string, JsonSchema> {
  return (schema?.['properties'] ?? {}) as Record<string, JsonSchema>;
}

test('the document names every route of the contract', async () => {
  const { openapi, paths } = await fetchDocument();
  expect(openapi).toBe('3.1.0');
  const one = '/v1/machines/{machine_id}/executions/{execution_id}';
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(operations.sort()).toStrictEqual(
    [
      'POST /v1/machines/{machine_id}/executions',
      'GET /v1/machines/{machine_id}/executions',
      `GET ${one}`,
      `DELETE ${one}`,
      `GET ${one}/events`,
      `GET ${one}/output`,
      `GET ${one}/output/stdout`,
      `GET ${one}/output/stderr`,
      `GET ${one}/output/merged`,
      `POST ${one}/signal`,
      `POST ${one}/stdin`,
      `POST ${one}/resize`,
      'POST /v1/machines/{machine_id}/terminals',
      'GET /v1/machines/{machine_id}/terminals',
      'GET /v1/machines/{machine_id}/terminals/{terminal_id}',
      'DELETE /v1/machines/{machine_id}/terminals/{terminal_id}',
      'POST /v1/machines/{machine_id}/terminals/{terminal_id}/tickets',
      'GET /v1/machines/{machine_id}/artifacts',
      'GET /v1/machines/{machine_id}/artifacts/{artifact_id}',
      'DELETE /v1/machines/{machine_id}/artifacts/{artifact_id}',
      'GET /v1/machines/{machine_id}/artifacts/{artifact_id}/content',
      'GET /downloads/{artifact_id}',
      'GET /v1/executions',
      'GET /v1/machines',
      'GET /v1/machines/{machine_id}',
      'DELETE /v1/machines/{machine_id}',
      'POST /v1/machines',
      'POST /v1/schedules',
      'POST /v1/schedules/preview',
      'GET /v1/schedules',
      'GET /v1/schedules/{schedule_id}',
      'PATCH /v1/schedules/{schedule_id}',
      'DELETE /v1/schedules/{schedule_id}',
      'GET /v1/schedules/{schedule_id}/runs',
      'POST /v1/batches',
      'GET /v1/batches',
      'GET /v1/batches/{batch_id}',
      'GET /v1/batches/{batch_id}/executions',
      'DELETE /v1/batches/{batch_id}',
      'PATCH /v1/machines/{machine_id}',
      'POST /v1/machines/{machine_id}/sleep',
      'POST /v1/machines/{machine_id}/wake',
      'GET /v1/machines/{machine_id}/status/stream',
      'POST /v1/machines/{machine_id}/rotate',
      'POST /v1/api-keys',
      'GET /v1/api-keys',
      'DELETE /v1/api-keys/{api_key_id}',
      'POST /v1/join-tokens',
      'GET /v1/join-tokens',
      'DELETE /v1/join-tokens/{join_token_id}',
      'GET /v1/audit',
      'GET /v1/audit/export',
      'POST /v1/audit/release',
      'GET /healthz',
      'GET /readyz',
      'GET /metrics',
      'POST /agent/v1/enrol',
    ].sort(),
  );
});

/** Whether a field needs an example. Objects and lists of objects use the examples of their fields. */
function needsExample(field: JsonSchema, items: JsonSchema | undefined): boolean {
  const ofObjects = items !== undefined && ('$ref' in items || 'properties' in items);
  return field['examples'] === undefined && field['properties'] === undefined && !ofObjects;
}

test('every field of every schema has a description and an example', async () => {
  const { components, paths } = await fetchDocument();
  const bare: string[] = [];
  const walk = (schema: JsonSchema, path: string): void => {
    for (const [name, field] of Object.entries(propertiesOf(schema))) {
      if ('$ref' in field) continue;
      const items = field['items'] as JsonSchema | undefined;
      if (field['description'] === undefined) bare.push(`${path}.${name}: description`);
      if (needsExample(field, items)) bare.push(`${path}.${name}: example`);
      walk(field, `${path}.${name}`);
      if (items !== undefined) walk(items, `${path}.${name}[]`);
    }
  };
  const inline = Object.values(paths).flatMap((methods) =>
    Object.values(methods).flatMap(({ operationId, requestBody, responses }) =>
      [requestBody, ...Object.values(responses)].flatMap((part) =>
        Object.values(part?.content ?? {}).flatMap(({ schema }) => ('$ref' in schema ? [] : [[operationId, schema]])),
      ),
    ),
  ) as [string, JsonSchema][];
  expect(inline.map(([name]) => name)).toContain('enrolAgent');
  for (const [name, schema] of [...Object.entries(components.schemas), ...inline]) {
    if (schema['description'] === undefined) bare.push(name);
    walk(schema, name);
  }
  expect(bare).toStrictEqual([]);
});

test('every parameter has a description and an example', async () => {
  const { paths } = await fetchDocument();
  const bare = Object.entries(paths).flatMap(([path, methods]) =>
    Object.values(methods).flatMap(({ parameters }) =>
      parameters
        .filter(({ description, schema }) => description === undefined || schema['examples'] === undefined)
        .map(({ name }) => `${path} ${name}`),
    ),
  );
  expect(bare).toStrictEqual([]);
});

test('a public validator accepts the document', async () => {
  const validator = new Validator();
  const document = await fetchDocument();
  expect(await validator.validate(document as unknown as Record<string, unknown>)).toStrictEqual({ valid: true });
  expect(validator.version).toBe('3.1');
  const broken = { ...document, paths: { '/x': { get: { responses: { 200: {} } } } } };
  expect((await validator.validate(broken)).valid).toBe(false);
});

test('every example matches its own schema', async () => {
  const document = await fetchDocument();
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  ajv.addSchema(document, 'openapi');
  const unfit: string[] = [];
  const walk = (value: unknown, pointer: string): void => {
    if (typeof value !== 'object' || value === null) return;
    const { examples } = value as { examples?: unknown };
    if (Array.isArray(examples)) {
      const validate = ajv.compile({ $ref: `openapi#${encodeURI(pointer)}` });
      for (const example of examples) if (!validate(example)) unfit.push(`${pointer}: ${JSON.stringify(example)}`);
    }
    for (const [key, inner] of Object.entries(value)) {
      walk(inner, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    }
  };
  walk(document, '');
  expect(unfit).toStrictEqual([]);
});

test('the test helper rejects an answer that the document does not describe', async () => {
  const conformance = new Conformance(await fetchDocument());
  const headers: Record<string, string> = { 'x-request-id': 'r', 'content-type': 'application/json' };
  const check = (path: string, status: number, body: unknown, more: Record<string, string> = {}) =>
    conformance.check({
      method: 'GET',
      path,
      status,
      header: (name) => ({ ...headers, ...more })[name],
      body: Buffer.from(JSON.stringify(body)),
    });
  const error = { error_code: 'AUTH_INVALID', message: 'm', retryable: false };
  const refusal = { 'x-should-retry': 'false' };
  const machine = { items: [] };
  expect(() => check('/v1/machines', 200, machine)).not.toThrow();
  expect(() => check('/v1/machines?limit=1', 401, error, refusal)).not.toThrow();
  expect(() => check('/v1/machines', 200, { items: [], extra: 1 })).toThrow(/additional/);
  expect(() => check('/v1/machines', 200, { items: [{}] })).toThrow(/machine_id/);
  expect(() => check('/v1/machines', 200, machine, { 'content-type': 'text/html' })).toThrow(/text\/html/);
  expect(() => check('/v1/machines', 200, machine, { 'x-request-id': '' })).toThrow(/x-request-id/);
  expect(() => check('/v1/machines', 201, machine)).toThrow(/no 201/);
  expect(() => check('/v1/nowhere', 200, machine)).toThrow(/not in the document/);
  expect(() => check('/v1/machines', 401, { ...error, error_code: 'NEW' }, refusal)).toThrow(/error_code/);
  expect(() => check('/v1/machines', 401, error)).toThrow(/x-should-retry/);
});

test('every reference resolves, operation names are unique, and errors are those of the registry', async () => {
  const document = await fetchDocument();
  const names = new Set(Object.keys(document.components.schemas));
  for (const [, name = ''] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    expect(names).toContain(name);
  }
  for (const [, name = ''] of JSON.stringify(document).matchAll(/"#\/components\/headers\/(\w+)"/g)) {
    expect(Object.keys(document.components.headers)).toContain(name);
  }
  const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((o) => o.operationId));
  expect(new Set(ids).size).toBe(ids.length);
  const { error_code: codes } = propertiesOf(document.components.schemas['ApiError']);
  expect(codes?.['enum']).toStrictEqual(Object.keys(API_ERRORS));
});

test('lists refer to their items by name', async () => {
  const { components } = await fetchDocument();
  const { items } = propertiesOf(components.schemas['ExecutionList']);
  expect(items?.['items']).toStrictEqual({ $ref: '#/components/schemas/Execution' });
});

test('the page shows the document, loads nothing from elsewhere, and runs only its own script', async () => {
  await using http = await httpFixture();
  const answer = await http.call('GET', '/docs', { key: undefined });
  const html = answer.raw.toString();
  expect(answer.headers['content-type']).toBe('text/html; charset=utf-8');
  const [, style = '', script = ''] = /<style>(.*?)<\/style>.*<script>(.*?)<\/script>/s.exec(html) ?? [];
  const hash = (inline: string) => `'sha256-${createHash('sha256').update(inline).digest('base64')}'`;
  expect(answer.headers['content-security-policy']).toBe(
    `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; connect-src 'self'; ` +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
  expect(html).toContain('/v1/machines/{machine_id}/executions');
  expect(html).not.toMatch(/<script\s|\son\w+=|\sstyle=|src=|https?:\/\/(?!example\.com)|\[object Object\]/);
  expect(html.replace(script, '')).not.toContain('undefined');
});

test('every operation has a form with a field for each parameter and a body with the required fields', async () => {
  await using http = await httpFixture();
  const html = (await http.call('GET', '/docs', { key: undefined })).raw.toString();
  const { paths } = await fetchDocument();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { operationId, parameters, requestBody }] of Object.entries(methods)) {
      const from = html.indexOf(`<details id="${operationId}">`);
      const shown = html.slice(from, html.indexOf('</details>', from));
      expect(shown).toContain(`<form data-method="${method.toUpperCase()}" data-path="${path}">`);
      for (const { name, in: place } of parameters) expect(shown).toContain(`<input name="${name}" data-in="${place}"`);
      for (const type of Object.keys(requestBody?.content ?? {})) {
        expect(shown).toContain(`<textarea name="${type}" data-in="body"`);
      }
    }
  }
  expect(html).toContain('&quot;echo hello&quot;');
});

test('the document has the form from which generators produce correct code', async () => {
  const document = await fetchDocument();
  expect(document.servers).toStrictEqual([{ url: 'http://localhost:80' }]);
  expect(Object.keys(document.components.schemas)).not.toContain('Error');
  const loose: string[] = [];
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    const schema = value as JsonSchema;
    if (schema['type'] === 'integer' && !/^int(32|64)$/.test(String(schema['format']))) loose.push(`${path}: format`);
    if (Array.isArray(schema['enum']) && schema['type'] === undefined) loose.push(`${path}: type`);
    if ('patternProperties' in schema) loose.push(`${path}: patternProperties`);
    for (const [key, inner] of Object.entries(schema)) if (key !== 'examples') walk(inner, `${path}/${key}`);
  };
  walk(document.paths, 'paths');
  walk(document.components.schemas, 'schemas');
  expect(loose).toStrictEqual([]);
  const one = document.paths['/v1/machines/{machine_id}/executions/{execution_id}/output/stdout']?.['get'];
  expect(one?.responses['200']?.content?.['application/octet-stream']?.schema).toMatchObject({ format: 'binary' });
  const events = document.paths['/v1/machines/{machine_id}/executions/{execution_id}/events']?.['get'];
  expect(Object.keys(events?.responses['200']?.content ?? {})).toStrictEqual(['application/json']);
  const limit = events?.parameters.find(({ name }) => name === 'limit');
  expect(limit?.schema).toMatchObject({ type: 'integer', minimum: 1, default: 100 });
  expect(limit?.schema).not.toHaveProperty('maximum');
});
