import { describe, expect, test } from 'vitest';
import { INTERVAL_PATTERN, NO_NUL, patternMessage } from '../../../../src/api/patterns.ts';
import { AUTOSLEEP_PATTERN } from '../../../../src/core/machines/autosleep.ts';
import { httpFixture, MACHINE } from '../http-fixture.ts';

const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

describe('the errors of a 422 name the rule that was broken', () => {
  test.each([
    ['/v1/machines', { labels: { A: 'b' } }, 'body.labels.A', /^a label key must be 1 to 63 of a-z 0-9/],
    ['/v1/machines', { labels: many(65) }, 'body.labels', 'must not have more than 64 entries'],
    ['/v1/machines', { attributes: { '': 'x' } }, 'body.attributes.', /^an attribute name must be 1 to 63/],
    ['/v1/machines', { attributes: many(65) }, 'body.attributes', 'must not have more than 64 entries'],
    [
      '/v1/machines',
      { autosleep: '3h7d' },
      'body.autosleep',
      'must be never, seconds, or a duration such as 7d or 1h30m',
    ],
    ['/v1/machines', { name: 'dm-x' }, 'body.name', /^must be 1 to 63 of a-z 0-9/],
    ['/v1/machines', { nope: 1 }, 'body.nope', 'is not a field of this request'],
    ['/v1/join-tokens', { machine_id: 'dm-UPPER' }, 'body.machine_id', /^must be dm- and then lower-case letters/],
    [
      '/v1/schedules',
      schedule({ every: '1ms' }),
      'body.every',
      'must be more than 0: seconds, or a duration such as 1h30m',
    ],
    ['/v1/schedules', schedule({ every: '1h', env: { 'A=B': '' } }), 'body.env.A=B', /^a name must not be empty/],
    [
      `/v1/machines/${MACHINE}/executions`,
      { command: ['true'], env: { EXECUTION_ID: '' } },
      'body.env.EXECUTION_ID',
      'is set by the server',
    ],
    [
      `/v1/machines/${MACHINE}/executions`,
      { command: ['true'], callback_url: 'ftp://x' },
      'body.callback_url',
      'must begin with http:// or https://',
    ],
  ])('%s %o', async (path, body, location, message) => {
    await using http = await httpFixture();
    const answer = await http.call('POST', path, {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(422);
    expect(answer.body['errors']).toMatchObject([
      { location, message: typeof message === 'string' ? message : expect.stringMatching(message) },
    ]);
  });
});

function schedule(fields: object): object {
  return { selector: { machine_ids: [MACHINE] }, command: ['true'], ...fields };
}

test('no error shows a regular expression', async () => {
  await using http = await httpFixture();
  const { paths, components } = (await http.call('GET', '/openapi.json')).body as unknown as OpenApi;
  const bodies = Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([, operations]) => Object.values(operations).map(({ requestBody }) => requestBody));
  const patterns = new Set<string>();
  const collect = (part: unknown) =>
    JSON.stringify(part, (key, value) => {
      if (key === 'pattern') patterns.add(String(value));
      if (key === '$ref') collect(components.schemas[String(value).split('/').at(-1) ?? '']);
      return value;
    });
  collect(bodies);
  for (const known of [NO_NUL, INTERVAL_PATTERN, AUTOSLEEP_PATTERN]) expect(patterns).toContain(known);
  expect([...patterns].filter((pattern) => patternMessage(pattern).startsWith('must match'))).toStrictEqual([]);
});

interface OpenApi {
  paths: Record<string, Record<string, { requestBody?: object }>>;
  components: { schemas: Record<string, object> };
}
