/**
 * A client for the Dedalus Machines API, with only base URL and key changed, that sends requests like the generated SDKs: an
 * Idempotency-Key on every POST and DELETE, X-Stainless-* headers, retries by x-should-retry and retry-after-ms (else after 408,
 * 409, 429 and 5xx), and pages by next_cursor until it is missing or a page is empty.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireEvent, WireExecution, WireOutput, WirePage } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

class ApiFailure extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body: unknown) {
    super(`${status} ${JSON.stringify(body)}`);
    this.status = status;
    this.body = body;
  }
}

/** A minimal client that behaves like these SDKs. */
class SdkLike {
  readonly #baseUrl: string;
  readonly #headers: Record<string, string>;
  readonly #defaultQuery: Record<string, string>;
  readonly #maxRetries = 2;
  /** Waits that the server requested, in ms. */
  readonly waits: number[] = [];
  requests = 0;

  /** `defaultQuery`: sent with every request; the query of the call overrides it. */
  constructor(baseUrl: string, auth: Record<string, string>, defaultQuery: Record<string, string> = {}) {
    this.#baseUrl = baseUrl;
    this.#defaultQuery = defaultQuery;
    this.#headers = {
      accept: 'application/json',
      'user-agent': 'Dedalus/JS 0.0.1',
      'x-stainless-lang': 'js',
      'x-stainless-runtime': 'node',
      'x-stainless-timeout': '60',
      'x-dedalus-org-id': 'org_example',
      'x-sdk-version': '1.0.0',
      'x-provider': 'none',
      ...auth,
    };
  }

  async call<T>(
    method: string,
    path: string,
    p: { query?: Record<string, string | number>; body?: unknown } = {},
  ): Promise<T> {
    const url = new URL(path, this.#baseUrl);
    for (const [name, value] of Object.entries({ ...this.#defaultQuery, ...p.query }))
      url.searchParams.set(name, String(value));
    const headers: Record<string, string> = { ...this.#headers, 'content-type': 'application/json' };
    if (method !== 'GET') headers['idempotency-key'] = `stainless-node-retry-${randomUUID()}`;
    for (let retry = 0; ; retry += 1) {
      this.requests += 1;
      const response = await fetch(url, {
        method,
        headers: { ...headers, 'x-stainless-retry-count': String(retry) },
        ...(p.body === undefined ? {} : { body: JSON.stringify(p.body) }),
      });
      const body = (await response.json()) as T;
      if (response.ok) return body;
      if (retry === this.#maxRetries || !shouldRetry(response)) throw new ApiFailure(response.status, body);
      const wait = Number(response.headers.get('retry-after-ms') ?? 500);
      this.waits.push(wait);
      await delay(wait);
    }
  }

  async *list<T>(path: string, query: Record<string, string | number> = {}): AsyncGenerator<T> {
    let cursor: string | undefined;
    do {
      const page: WirePage<T> = await this.call('GET', path, { query: { ...query, ...(cursor ? { cursor } : {}) } });
      if (page.items.length === 0) return;
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor !== undefined);
  }
}

function shouldRetry(response: Response): boolean {
  const told = response.headers.get('x-should-retry');
  if (told !== null) return told === 'true';
  return [408, 409, 429].includes(response.status) || response.status >= 500;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const PATH = '/v1/machines/dm-test/executions';
const bearer = () => new SdkLike(deployment.server.url, { authorization: `Bearer ${deployment.server.key}` });

async function finished(sdk: SdkLike, executionId: string): Promise<WireExecution> {
  for (;;) {
    const execution = await sdk.call<WireExecution>('GET', `${PATH}/${executionId}`);
    if (!['wake_in_progress', 'queued', 'running'].includes(execution.status)) return execution;
    await delay(execution.retry_after_ms ?? 20);
  }
}

describe.each([
  ['Authorization: Bearer', bearer],
  ['x-api-key', () => new SdkLike(deployment.server.url, { 'x-api-key': deployment.server.key })],
])('with %s', (_, sdkOf) => {
  test('create, retrieve until the end, output, events, list, delete', async () => {
    const sdk = sdkOf();
    const created = await sdk.call<WireExecution>('POST', PATH, {
      body: {
        command: ['/bin/sh', '-c', 'cat; echo $A; echo err >&2'],
        stdin: 'in ',
        env: { A: 'b' },
        cwd: '/',
        timeout_ms: 60_000,
      },
    });
    const execution = await finished(sdk, created.execution_id);
    expect(execution).toMatchObject({ status: 'succeeded', exit_code: 0, cwd: '/', env_keys: ['A'] });
    const output = await sdk.call<WireOutput>('GET', `${PATH}/${created.execution_id}/output`);
    expect(output).toMatchObject({ stdout: 'in b\n', stderr: 'err\n' });
    const events = await collect(sdk.list<WireEvent>(`${PATH}/${created.execution_id}/events`, { limit: 2 }));
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_event, n) => n + 1));
    const listed = await collect(sdk.list<WireExecution>(PATH, { limit: 1 }));
    expect(listed).toContainEqual(execution);
    expect(await sdk.call<WireExecution>('DELETE', `${PATH}/${created.execution_id}`)).toEqual(execution);
  });
});

test('with default query parameters, one request runs a command and returns its output, and every other call still works', async () => {
  const auth = { authorization: `Bearer ${deployment.server.key}` };
  const sdk = new SdkLike(deployment.server.url, auth, { wait_ms: '30000', include: 'output' });
  const ended = await sdk.call<WireExecution & { output: WireOutput }>('POST', PATH, {
    body: { command: ['echo', 'x'] },
  });
  expect(ended).toMatchObject({ status: 'succeeded', output: { stdout: 'x\n' } });
  const one = `${PATH}/${ended.execution_id}`;
  expect(await sdk.call('GET', one)).toEqual(ended);
  expect(await sdk.call('GET', `${one}/output`)).toEqual(ended.output);
  expect(await collect(sdk.list<WireEvent>(`${one}/events`, { limit: 1 }))).toHaveLength(4);
  const { output: _, ...plain } = ended;
  expect(await collect(sdk.list<WireExecution>(PATH))).toContainEqual(plain);
  expect(await sdk.call('DELETE', one)).toEqual(ended);
  for (const path of ['/v1/machines', '/v1/machines/dm-test', '/v1/machines/dm-test/artifacts'])
    await sdk.call('GET', path);
  for (const path of ['/v1/machines/dm-test/terminals', '/v1/executions', '/v1/batches']) await sdk.call('GET', path);
});

test('delete without a body cancels a running execution', async () => {
  const sdk = bearer();
  const { execution_id } = await sdk.call<WireExecution>('POST', PATH, { body: { command: ['sleep', '600'] } });
  await sdk.call('DELETE', `${PATH}/${execution_id}`);
  expect(await finished(sdk, execution_id)).toMatchObject({ status: 'cancelled', error_code: 'cancelled' });
});

test('the client retries a request for output before the end as the server says, and gets it', async () => {
  const sdk = bearer();
  const { execution_id } = await sdk.call<WireExecution>('POST', PATH, {
    body: { command: ['sh', '-c', 'sleep 0.3; echo x'] },
  });
  expect(await sdk.call<WireOutput>('GET', `${PATH}/${execution_id}/output`)).toMatchObject({ stdout: 'x\n' });
  expect(sdk.waits.length).toBeGreaterThan(0);
  for (const wait of sdk.waits) expect(wait).toBeGreaterThanOrEqual(1);
});

test('404, 422 and an unknown key are not retried', async () => {
  const sdk = bearer();
  await expect(sdk.call('GET', `${PATH}/nothing`)).rejects.toMatchObject({ status: 404 });
  await expect(sdk.call('POST', PATH, { body: { command: null } })).rejects.toMatchObject({ status: 422 });
  const stranger = new SdkLike(deployment.server.url, { authorization: 'Bearer dsk-live-xxx' });
  await expect(stranger.call('GET', PATH)).rejects.toMatchObject({ status: 401 });
  expect([sdk.requests, stranger.requests]).toEqual([2, 1]);
});

test('an execution for an offline machine is wake_in_progress, with the time of the next request', async () => {
  const sdk = bearer();
  await deployment.joinToken({ machine_id: 'dm-asleep' });
  const created = await sdk.call<WireExecution>('POST', '/v1/machines/dm-asleep/executions', {
    body: { command: ['true'] },
  });
  expect(created).toMatchObject({ status: 'wake_in_progress', retry_after_ms: expect.any(Number) });
});

test('machines can be listed and read', async () => {
  const sdk = bearer();
  const machines = await collect(sdk.list<{ machine_id: string }>('/v1/machines'));
  expect(machines.map(({ machine_id }) => machine_id)).toContain('dm-test');
  expect(await sdk.call('GET', '/v1/machines/dm-test')).toMatchObject({
    machine_id: 'dm-test',
    desired_state: 'running',
  });
});

test('routes of that API that do not exist here get 404, which its SDKs report as such', async () => {
  const sdk = bearer();
  for (const path of ['/v1/machines/dm-test/previews', '/v1/machines/dm-test/ssh', '/v1/usage']) {
    await expect(sdk.call('GET', path)).rejects.toMatchObject({ status: 404 });
  }
});
