/** Contract §1, errors: status, media type, shape, headers; authentication (fault matrix 41, 50). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer, Sent, WireProblem } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ machine: null, server: { EXECPLANE_MAX_BODY_BYTES: '1048576' } });
  await deployment.joinToken({ machine_id: 'dm-one' });
});
afterAll(() => deployment.dispose());

const EXECUTIONS = '/v1/machines/dm-one/executions';

function send(method: string, path: string, sent: Sent = {}): Promise<Answer<WireProblem>> {
  return deployment.client.request<WireProblem>(method, path, sent);
}
const create = (body: unknown) => send('POST', EXECUTIONS, { body });

function expectCoded(answer: Answer<WireProblem>, status: number, code: string, retryable: boolean): void {
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json(;|$)/);
  expect(answer.json).toMatchObject({ error_code: code, message: expect.any(String), retryable });
  for (const field of Object.keys(answer.json)) {
    expect(['error_code', 'message', 'retryable', 'retry_after_ms', 'details']).toContain(field);
  }
  expect(answer.headers.get('x-should-retry')).toBe(String(retryable));
  expect(answer.headers.get('x-request-id')).toBeTruthy();
}

function expectProblem(answer: Answer<WireProblem>, status: number): void {
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/);
  expect(answer.json).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  expect(answer.json.type).toMatch(/^(about:blank|urn:.+)$/);
  if (answer.json.instance !== undefined) expect(answer.json.instance).toMatch(/^urn:.+/);
  for (const field of Object.keys(answer.json)) {
    expect(['type', 'title', 'status', 'detail', 'instance', 'errors']).toContain(field);
  }
  expect(answer.headers.get('x-should-retry')).toBe('false');
  expect(answer.headers.get('x-request-id')).toBeTruthy();
}

function expectInvalid(answer: Answer<WireProblem>, location: string): void {
  expectProblem(answer, 422);
  expect(answer.json.errors?.map((error) => error.location)).toContain(location);
  expect(answer.json.errors?.every((error) => error.message.length > 0)).toBe(true);
}

describe('keys', () => {
  test('a request without a key gets 401 AUTH_REQUIRED', async () => {
    expectCoded(await deployment.client.with(undefined).request('GET', EXECUTIONS), 401, 'AUTH_REQUIRED', false);
  });

  test('an unknown key gets 401 AUTH_INVALID', async () => {
    expectCoded(await deployment.client.with('xpk_nonsense').request('GET', EXECUTIONS), 401, 'AUTH_INVALID', false);
  });

  test('x-api-key: KEY works as well as Authorization: Bearer KEY', async () => {
    const answer = await deployment.client.with(undefined).get(EXECUTIONS, {}, { 'x-api-key': deployment.server.key });
    expect(answer.status).toBe(200);
  });

  test('two equal keys in both headers are accepted, two different ones get 401', async () => {
    expect((await deployment.client.get(EXECUTIONS, {}, { 'x-api-key': deployment.server.key })).status).toBe(200);
    expect((await deployment.client.get(EXECUTIONS, {}, { 'x-api-key': 'xpk_other' })).status).toBe(401);
  });

  test('the scheme is case-insensitive', async () => {
    const answer = await deployment.client
      .with(undefined)
      .get(EXECUTIONS, {}, { authorization: `bearer ${deployment.server.key}` });
    expect(answer.status).toBe(200);
  });

  test('X-Dedalus-Org-Id is accepted and ignored', async () => {
    expect((await deployment.client.get(EXECUTIONS, {}, { 'X-Dedalus-Org-Id': 'org_1' })).status).toBe(200);
  });

  test('a key in the query string is ignored', async () => {
    const answer = await deployment.client
      .with(undefined)
      .get(EXECUTIONS, { api_key: deployment.server.key, key: deployment.server.key });
    expect(answer.status).toBe(401);
  });

  test('an unknown route without a key answers like a known one', async () => {
    expect((await deployment.client.with(undefined).request('GET', '/v1/nothing')).status).toBeOneOf([401, 404]);
  });
});

describe('404', () => {
  test.each([
    ['an unknown machine', '/v1/machines/dm-nobody/executions'],
    ['an unknown machine itself', '/v1/machines/dm-nobody'],
    ['an unknown execution', `${EXECUTIONS}/nothing-here`],
    ['its events', `${EXECUTIONS}/nothing-here/events`],
    ['its output', `${EXECUTIONS}/nothing-here/output`],
    ['its raw output', `${EXECUTIONS}/nothing-here/output/stdout`],
    ['an unknown route', '/v1/nothing'],
    ['a route of that API which does not exist here', '/v1/machines/dm-one/previews'],
    ['a malformed machine id', '/v1/machines/no-prefix/executions'],
    ['an upper-case machine id', '/v1/machines/dm-ONE/executions'],
    ['a malformed execution id', `${EXECUTIONS}/-x-`],
    ['path traversal', `${EXECUTIONS}/..%2f..%2fetc%2fpasswd`],
    ['an encoded NUL', `${EXECUTIONS}/a%00b`],
    ['an id that is too long', `${EXECUTIONS}/${'a'.repeat(254)}`],
    ['an endless path', `/${'a'.repeat(8000)}`],
  ])('%s', async (_, path) => {
    expectProblem(await send('GET', path), 404);
  });

  test.each([
    ['PUT', EXECUTIONS],
    ['PATCH', `${EXECUTIONS}/x`],
    ['DELETE', EXECUTIONS],
    ['PUT', '/v1/machines'],
  ])('a wrong method gets 404: %s %s', async (method, path) => {
    expectProblem(await send(method, path), 404);
  });

  test('a malformed URL encoding does not get a 500', async () => {
    expect((await send('GET', `${EXECUTIONS}/%ZZ`)).status).toBeOneOf([400, 404]);
  });
});

describe('bodies', () => {
  test('a body over the limit gets 413', async () => {
    expectProblem(await create({ command: ['/bin/true'], stdin: 'x'.repeat(1_100_000) }), 413);
  });

  test('a body that is not JSON gets 400', async () => {
    const headers = { 'content-type': 'application/json' };
    expectProblem(await send('POST', EXECUTIONS, { body: '{"command": [', headers }), 400);
    expect((await send('POST', EXECUTIONS, { body: '', headers })).status).toBeOneOf([400, 422]);
  });

  test('a wrong media type gets 415', async () => {
    expectProblem(
      await send('POST', EXECUTIONS, { body: 'command=ls', headers: { 'content-type': 'text/plain' } }),
      415,
    );
  });

  test('JSON nested 10 000 deep gets 400 or 422, and the server keeps running', async () => {
    const body = `{"command":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
    const answer = await send('POST', EXECUTIONS, { body, headers: { 'content-type': 'application/json' } });
    expect(answer.status).toBeOneOf([400, 422]);
    expect((await send('GET', EXECUTIONS)).status).toBe(200);
  });

  test('an unknown field gets 422 at its own path', async () => {
    expectInvalid(await create({ command: ['/bin/true'], shell: true }), 'body.shell');
  });

  test.each([
    ['no command', {}, 'body.command'],
    ['a command that is a string', { command: 'ls' }, 'body.command'],
    ['an empty command', { command: [] }, 'body.command'],
    ['a command that starts with ""', { command: ['', 'x'] }, 'body.command[0]'],
    ['an argument that is not a string', { command: ['ls', 1] }, 'body.command[1]'],
    ['NUL in an argument', { command: ['ls', 'a\0b'] }, 'body.command[1]'],
    ['an env value that is not a string', { command: ['ls'], env: { PATH: 1 } }, 'body.env.PATH'],
    ['an env value with NUL', { command: ['ls'], env: { PATH: 'a\0' } }, 'body.env.PATH'],
    ['env that is a list', { command: ['ls'], env: ['A=b'] }, 'body.env'],
    ['EXECUTION_ID in env', { command: ['ls'], env: { EXECUTION_ID: 'mine' } }, 'body.env.EXECUTION_ID'],
    ['NUL in cwd', { command: ['ls'], cwd: '/a\0' }, 'body.cwd'],
    ['a negative timeout_ms', { command: ['ls'], timeout_ms: -1 }, 'body.timeout_ms'],
    ['a timeout_ms that is a string', { command: ['ls'], timeout_ms: '5' }, 'body.timeout_ms'],
    ['stdin that is not a string', { command: ['ls'], stdin: 5 }, 'body.stdin'],
    ['stdin that is not base64', { command: ['ls'], stdin: '***', stdin_encoding: 'base64' }, 'body.stdin'],
    ['another stdin_encoding', { command: ['ls'], stdin: '', stdin_encoding: 'hex' }, 'body.stdin_encoding'],
  ])('the body gets 422: %s', async (_, body, location) => {
    expectInvalid(await create(body), location);
  });

  test.each([
    ['', 'body.env'],
    ['A=B', 'body.env'],
    ['A\0B', 'body.env'],
  ])('an env name %j gets 422', async (name, location) => {
    const answer = await create({ command: ['ls'], env: { [name]: 'x' } });
    expectProblem(answer, 422);
    expect(answer.json.errors?.[0]?.location.startsWith(location)).toBe(true);
  });

  test('a field that is null gets 422', async () => {
    expectInvalid(await create({ command: ['ls'], cwd: null }), 'body.cwd');
  });

  test('a body that is not an object gets 422', async () => {
    for (const body of ['[]', '"x"', '7', 'null']) {
      const headers = { 'content-type': 'application/json' };
      expect((await send('POST', EXECUTIONS, { body, headers })).status).toBeOneOf([400, 422]);
    }
  });

  test('an error never repeats env or stdin', async () => {
    const secret = 'hunter2-secret';
    const answers = [
      await create({ command: ['ls'], env: { TOKEN: { secret } } }),
      await create({ command: ['ls'], env: { [`A=${secret}`]: 'x' } }),
      await create({ command: ['ls'], stdin: { secret } }),
      await create({ command: ['ls'], stdin: `${secret}*`, stdin_encoding: 'base64' }),
      await create({ command: ['ls'], env: `TOKEN=${secret}` }),
      await create({ command: [], env: { TOKEN: secret }, stdin: secret }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(422);
      expect(JSON.stringify(answer.json.errors?.map(({ value }) => value) ?? [])).not.toContain(secret);
    }
  });

  test('no error contains a stack trace or a path of the server', async () => {
    const answers = [await create({ command: 5 }), await send('GET', '/v1/nothing'), await create('{')];
    for (const { bytes } of answers)
      expect(bytes.toString()).not.toMatch(/node_modules|\.js:\d|\.ts:\d|at .*\(|\/dist\//);
  });

  test('a malformed wait_ms gets 422 at query.wait_ms', async () => {
    expectInvalid(
      await send('POST', EXECUTIONS, { body: { command: ['ls'] }, query: { wait_ms: 'x' } }),
      'query.wait_ms',
    );
  });
});

describe('headers', () => {
  test('every response carries x-request-id', async () => {
    for (const path of ['/healthz', '/v1/machines', EXECUTIONS, '/v1/nothing']) {
      expect((await send('GET', path)).headers.get('x-request-id')).toBeTruthy();
    }
  });

  test('a retryable error carries retry-after-ms and retry-after, whole seconds rounded up', async () => {
    const { execution_id } = await deployment.client.machine('dm-one').create({ command: ['/bin/true'] });
    const answer = await send('GET', `${EXECUTIONS}/${execution_id}/output`);
    expectCoded(answer, 409, 'EXECUTION_NOT_FINISHED', true);
    const ms = Number(answer.headers.get('retry-after-ms'));
    expect(ms).toBeGreaterThanOrEqual(1);
    expect(ms).toBeLessThanOrEqual(60_000);
    expect(answer.headers.get('retry-after')).toBe(String(Math.ceil(ms / 1000)));
  });
});
