/** Contract §4, administration (keys, tokens, audit) and the pages of the service. Fault matrix 41 to 43. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client, WirePage } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';
import { until } from '../helpers/processes.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

interface Key {
  api_key_id: string;
  key: string;
}
const newKey = (body: Record<string, unknown>) => deployment.client.ask<Key>('POST', '/v1/api-keys', { body });
async function clientWith(scopes: string[], more: Record<string, unknown> = {}): Promise<Client> {
  return deployment.client.with((await newKey({ name: 'test', scopes, ...more })).key);
}
const statusOf = async (client: Client, method: string, path: string, body?: unknown) =>
  (await client.request(method, path, body === undefined ? {} : { body })).status;

describe('keys', () => {
  test('POST /v1/api-keys returns the key in this answer only', async () => {
    const made = await newKey({
      name: 'ci',
      scopes: ['executions:read'],
      machine_ids: ['dm-test'],
      expires_in_ms: 60_000,
    });
    expect(made).toMatchObject({
      api_key_id: expect.any(String),
      name: 'ci',
      scopes: ['executions:read'],
      machine_ids: ['dm-test'],
      created_at: expect.stringMatching(TIME),
      expires_at: expect.stringMatching(TIME),
      key: expect.any(String),
    });
    const list = await deployment.client.get<WirePage<Key>>('/v1/api-keys', { limit: 500 });
    expect(list.bytes.toString()).not.toContain(made.key);
    const listed = list.json.items.find(({ api_key_id }) => api_key_id === made.api_key_id);
    expect(listed).toBeDefined();
    expect(listed).not.toHaveProperty('key');
  });

  test('a key with executions:read can read, and gets 403 for everything else', async () => {
    const client = await clientWith(['executions:read']);
    const path = '/v1/machines/dm-test/executions';
    expect(await statusOf(client, 'GET', path)).toBe(200);
    const refused = await client.request('POST', path, { body: { command: ['/bin/true'] } });
    expect([refused.status, refused.json]).toEqual([
      403,
      expect.objectContaining({ error_code: 'AUTH_SCOPE_FORBIDDEN' }),
    ]);
    expect(await statusOf(client, 'DELETE', `${path}/x`)).toBe(403);
    expect(await statusOf(client, 'GET', '/v1/machines')).toBe(403);
    expect(await statusOf(client, 'GET', '/v1/api-keys')).toBe(403);
  });

  test('a key with executions:write can also read', async () => {
    const client = await clientWith(['executions:write']);
    const path = '/v1/machines/dm-test/executions';
    expect(await statusOf(client, 'POST', path, { command: ['/bin/true'] })).toBe(200);
    expect(await statusOf(client, 'GET', path)).toBe(200);
    expect(await statusOf(client, 'POST', '/v1/join-tokens', {})).toBe(403);
  });

  test('a key with machines:read can only read machines; admin implies every other scope', async () => {
    const reader = await clientWith(['machines:read']);
    expect(await statusOf(reader, 'GET', '/v1/machines')).toBe(200);
    expect(await statusOf(reader, 'DELETE', '/v1/machines/dm-test')).toBe(403);
    const admin = await clientWith(['admin']);
    expect(await statusOf(admin, 'GET', '/v1/machines/dm-test/executions')).toBe(200);
    expect(await statusOf(admin, 'GET', '/v1/audit')).toBe(200);
  });

  test('a key that is limited to one machine gets 403 for another, and does not see it in the list', async () => {
    await deployment.joinToken({ machine_id: 'dm-other' });
    const client = await clientWith(['executions:write', 'machines:read'], { machine_ids: ['dm-test'] });
    expect(await statusOf(client, 'GET', '/v1/machines/dm-test/executions')).toBe(200);
    expect(await statusOf(client, 'GET', '/v1/machines/dm-other/executions')).toBe(403);
    expect(await statusOf(client, 'GET', '/v1/machines/dm-other')).toBe(403);
    const { json } = await client.get<WirePage<{ machine_id: string }>>('/v1/machines');
    expect(json.items.map(({ machine_id }) => machine_id)).toEqual(['dm-test']);
  });

  test('a revoked key gets 401, and its streams are closed', async () => {
    const { key, api_key_id } = await newKey({ name: 'x', scopes: ['executions:read'] });
    const client = deployment.client.with(key);
    expect(await statusOf(client, 'GET', '/v1/machines/dm-test/executions')).toBe(200);
    expect(await statusOf(deployment.client, 'DELETE', `/v1/api-keys/${api_key_id}`)).toBe(200);
    const answer = await client.get('/v1/machines/dm-test/executions');
    expect([answer.status, answer.json]).toEqual([401, expect.objectContaining({ error_code: 'AUTH_INVALID' })]);
  });

  test('an expired key gets 401', async () => {
    const { key } = await newKey({ name: 'x', scopes: ['executions:read'], expires_in_ms: 300 });
    const client = deployment.client.with(key);
    await until(
      'it has expired',
      async () => (await statusOf(client, 'GET', '/v1/machines/dm-test/executions')) === 401,
    );
  });

  test.each([
    [{ name: 'x', scopes: ['everything'] }],
    [{ name: 'x', scopes: [] }],
    [{ scopes: ['admin'] }],
    [{ name: 'x', scopes: ['admin'], more: 1 }],
  ])('the request %j gets 422', async (body) => {
    expect(await statusOf(deployment.client, 'POST', '/v1/api-keys', body)).toBe(422);
  });
});

describe('join tokens', () => {
  const enrol = (token: string, n: number, machineId?: string) =>
    deployment.client.with(undefined).request<{ machine_id?: string }>('POST', '/agent/v1/enrol', {
      body: {
        join_token: token,
        credential: `xpa_${Buffer.alloc(32, n).toString('base64url')}`,
        ...(machineId === undefined ? {} : { machine_id: machineId }),
      },
    });

  test('a token is single-use and lives for an hour by default; only this answer contains it', async () => {
    const made = await deployment.client.ask<Record<string, unknown>>('POST', '/v1/join-tokens', { body: {} });
    expect(made).toMatchObject({ join_token_id: expect.any(String), reusable: false, token: expect.any(String) });
    expect(Date.parse(`${made['expires_at']}`) - Date.parse(`${made['created_at']}`)).toBe(3_600_000);
    const list = await deployment.client.get('/v1/join-tokens', { limit: 500 });
    expect(list.bytes.toString()).toContain(`${made['join_token_id']}`);
    expect(list.bytes.toString()).not.toContain(`${made['token']}`);
  });

  test('of ten simultaneous uses of a token exactly one succeeds', async () => {
    const token = await deployment.joinToken();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => enrol(token, n + 1)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    for (const { status } of answers) expect(status).toBeOneOf([200, 401, 403, 409]);
  });

  test('a retry of the successful use gets the same answer', async () => {
    const token = await deployment.joinToken();
    const first = await enrol(token, 20);
    const again = await enrol(token, 20);
    expect([again.status, again.json]).toEqual([200, first.json]);
    expect(first.json.machine_id).toMatch(/^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
  });

  test('an expired token and a revoked one are refused', async () => {
    const late = await deployment.joinToken({ expires_in_ms: 1 });
    await until('it is late', async () => (await enrol(late, 30)).status !== 200);
    const made = await deployment.client.ask<{ token: string; join_token_id: string }>('POST', '/v1/join-tokens', {
      body: {},
    });
    expect(await statusOf(deployment.client, 'DELETE', `/v1/join-tokens/${made.join_token_id}`)).toBe(200);
    expect((await enrol(made.token, 31)).status).not.toBe(200);
    expect((await enrol('xpj_nonsense', 32)).status).toBeOneOf([401, 403]);
  });

  test('each use of a reusable token creates another machine', async () => {
    const token = await deployment.joinToken({ reusable: true });
    const ids = await Promise.all([40, 41, 42].map(async (n) => (await enrol(token, n)).json.machine_id));
    expect(new Set(ids).size).toBe(3);
  });

  test('a token without a machine id is refused for the id of an existing machine', async () => {
    const token = await deployment.joinToken();
    expect((await enrol(token, 50, 'dm-test')).status).not.toBe(200);
    expect((await enrol(token, 51, 'dm-fresh')).json).toEqual({ machine_id: 'dm-fresh' });
  });

  test('a token for an existing machine enrols it again, and its old credential stops working at once', async () => {
    const agent = await deployment.join('dm-renewed');
    const token = await deployment.joinToken({ machine_id: 'dm-renewed' });
    expect((await enrol(token, 60)).status).toBe(200);
    await deployment.away(agent);
    await agent.link.end('SIGINT');
  });
});

describe('audit', () => {
  test('the list is newest first, and names actor and action', async () => {
    const { execution_id } = await deployment.machine.run({ command: ['/bin/echo', 'audited'] });
    await deployment.machine.cancel(execution_id);
    await until('it is on record', async () => {
      const { json } = await deployment.client.get<WirePage<Record<string, unknown>>>('/v1/audit');
      return json.items.some((entry) => JSON.stringify(entry).includes(execution_id));
    });
    const first = await deployment.client.get<WirePage<{ at: string }>>('/v1/audit', { limit: 5 });
    const times = first.json.items.map(({ at }) => at);
    expect(times).toEqual(times.toSorted().reverse());
    expect(first.json.next_cursor).toEqual(expect.any(String));
  });
});

describe('the service itself', () => {
  test('/healthz, /readyz, /openapi.json and /docs need no key', async () => {
    const open = deployment.client.with(undefined);
    for (const path of ['/healthz', '/readyz', '/docs']) expect(await statusOf(open, 'GET', path)).toBe(200);
    const { json } = await open.get<{ openapi: string; paths: Record<string, unknown> }>('/openapi.json');
    expect(json.openapi).toMatch(/^3\.1\./);
    expect(Object.keys(json.paths)).toEqual(
      expect.arrayContaining([
        '/v1/machines/{machine_id}/executions',
        '/v1/machines/{machine_id}/executions/{execution_id}',
      ]),
    );
  });

  test('/metrics needs any key, and returns Prometheus text', async () => {
    expect(await statusOf(deployment.client.with(undefined), 'GET', '/metrics')).toBe(401);
    const answer = await (await clientWith(['machines:read'])).get('/metrics');
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(answer.bytes.toString()).toMatch(/^# TYPE \w+ (counter|gauge|histogram)$/m);
  });
});
