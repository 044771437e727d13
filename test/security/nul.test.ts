/** NUL in texts of requests: each is refused before it reaches a database. PostgreSQL cannot store it, and SQLite cuts texts at it. */
import { expect, test } from 'vitest';
import type { OpenApiDocument } from '../../src/server/http/documents/openapi.ts';
import { httpFixture, MACHINE } from '../server/http/http-fixture.ts';

interface QueryParameter {
  name: string;
  in: string;
  schema: { type?: string; items?: { type?: string } };
}

/** The text parameters of the queries of all GET routes, with the path of one resource. */
function textParameters(document: OpenApiDocument, executionId: string): [path: string, name: string][] {
  return Object.entries(document.paths).flatMap(([template, operations]) => {
    // Other resources do not exist here: they are 404, whatever the query.
    if (/\{(?!machine_id\}|execution_id\})/.test(template)) return [];
    const path = template.replace('{machine_id}', MACHINE).replace('{execution_id}', executionId);
    const parameters = ((operations['get'] as { parameters?: QueryParameter[] } | undefined)?.parameters ?? []).filter(
      ({ in: place, schema }) => place === 'query' && (schema.items ?? schema).type === 'string',
    );
    return parameters.map(({ name }): [string, string] => [path, name]);
  });
}

test('in a query: 422 names the parameter, on every route', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const document = JSON.parse((await http.app.inject('/openapi.json')).body) as OpenApiDocument;
  const parameters = textParameters(document, executionId);
  expect(parameters.length).toBeGreaterThan(20);
  for (const [path, name] of parameters) {
    const { status, body } = await http.call('GET', `${path}?${name}=role%3Da%00`);
    expect([status, body.errors?.[0]?.location], `${path} ${name}`).toEqual([422, `query.${name}`]);
  }
});

const TARGET = { selector: { machine_ids: [MACHINE] }, command: ['true'] };

test.each<['POST' | 'PATCH', string, object, string]>([
  ['POST', '/v1/machines', { labels: { role: 'a\0' } }, 'body.labels.role'],
  ['POST', '/v1/machines', { attributes: { image: '\0' } }, 'body.attributes.image'],
  ['PATCH', `/v1/machines/${MACHINE}`, { labels: { role: '\0' } }, 'body.labels.role'],
  ['POST', '/v1/schedules', { ...TARGET, every: '15m', name: 'a\0' }, 'body.name'],
  ['POST', '/v1/schedules', { ...TARGET, cron: '0 0 * * *', time_zone: '\0' }, 'body.time_zone'],
  ['POST', '/v1/batches', { ...TARGET, selector: { labels: { role: '\0' } } }, 'body.selector.labels.role'],
  ['POST', '/v1/api-keys', { name: '\0', scopes: ['admin'] }, 'body.name'],
  [
    'POST',
    `/v1/machines/${MACHINE}/executions`,
    { command: ['true'], callback_url: 'https://execplane.example/\0' },
    'body.callback_url',
  ],
  [
    'POST',
    `/v1/machines/${MACHINE}/executions`,
    { command: ['true'], callback_url: 'https://execplane.example/\r\nHost: other' },
    'body.callback_url',
  ],
])('in the body of %s %s: %j is refused', async (method, path, body, location) => {
  await using http = await httpFixture();
  const answer = await http.call(method, path, { body });
  expect([answer.status, answer.body.errors[0]?.location]).toEqual([422, location]);
});
