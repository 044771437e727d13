/** Attacks on all routes: without a key, with a wrong key, and with a key of another scope. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { httpFixture, MACHINE } from '../server/http/http-fixture.ts';

interface Operation {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  /** Whether the document declares the route as public. */
  open: boolean;
}

type Http = Awaited<ReturnType<typeof httpFixture>>;

/** All documented operations, with values for the parameters of the path. */
async function operations(http: Http, machineId: string): Promise<Operation[]> {
  const { body } = await http.call('GET', '/openapi.json', { key: undefined });
  const paths = body['paths'] as Record<string, Record<string, { security?: unknown[] }>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase() as Operation['method'],
      path: path.replace('{machine_id}', machineId).replaceAll(/\{\w+_id\}/g, 'x1'),
      open: operation.security?.length === 0,
    })),
  );
}

async function keyFor(http: Http, scopes: string[], machineIds?: string[]): Promise<string> {
  const body = { name: 'k', scopes, ...(machineIds === undefined ? {} : { machine_ids: machineIds }) };
  return (await http.call('POST', '/v1/api-keys', { body })).body['key'] as string;
}

test('every route but the documented open ones refuses a request without a key or with a guessed one', async () => {
  await using http = await httpFixture();
  const all = await operations(http, MACHINE);
  // A download URL has its own signature, which expires.
  expect(all.filter(({ open }) => open).map(({ path }) => path)).toStrictEqual([
    '/downloads/x1',
    '/healthz',
    '/readyz',
    '/agent/v1/enrol',
  ]);
  for (const { method, path, open } of all) {
    if (open) continue;
    for (const key of [undefined, 'xpk_guessed', `${'x'.repeat(43)}`]) {
      expect((await http.call(method, path, { key })).status, `${method} ${path}`).toBe(401);
    }
  }
});

test('a stolen key that can only read changes nothing on any route', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  const key = await keyFor(http, ['executions:read', 'machines:read']);
  const writes = (await operations(http, MACHINE)).filter(({ method, open }) => method !== 'GET' && !open);
  expect(writes.length).toBeGreaterThan(8);
  for (const { method, path } of writes) {
    const body = method === 'POST' ? {} : undefined;
    expect((await http.call(method, path.replace('x1', executionId), { key, body })).status, path).toBe(403);
  }
  expect((await http.call('GET', '/v1/audit', { key })).status).toBe(403);
  const execution = await http.store.getExecution({ machineId: MACHINE, executionId });
  expect(execution).toMatchObject({ status: 'running' });
  expect(execution).not.toHaveProperty('cancelRequestedAt');
});

test('a stolen key that is limited to one machine, even with admin, reaches no other machine and cannot make a wider key', async () => {
  await using http = await httpFixture();
  await http.create();
  const key = await keyFor(http, ['admin'], ['dm-other']);
  for (const { method, path } of (await operations(http, MACHINE)).filter(({ path }) => path.includes(MACHINE))) {
    const body = method === 'POST' ? { command: ['id'] } : undefined;
    expect((await http.call(method, path, { key, body })).status, `${method} ${path}`).toBe(403);
  }
  const larger = { name: 'larger', scopes: ['admin'] };
  expect((await http.call('POST', '/v1/api-keys', { key, body: larger })).status).toBe(403);
  expect((await http.call('POST', '/v1/join-tokens', { key, body: {} })).status).toBe(403);
  expect((await http.call('GET', '/v1/machines', { key })).body.items).toStrictEqual([]);
  expect((await http.call('GET', '/v1/audit', { key })).body.items).toStrictEqual([]);
});

test('an execution records which keys created and cancelled it', async () => {
  await using http = await httpFixture();
  const creator = await keyFor(http, ['executions:write']);
  const canceller = await keyFor(http, ['executions:write']);
  const at = `/v1/machines/${MACHINE}/executions`;
  const made = await http.call('POST', at, { key: creator, body: { command: ['true'] } });
  await http.call('DELETE', `${at}/${made.body.execution_id}`, { key: canceller });
  const audit = (await http.call('GET', '/v1/audit')).body.items;
  const by = (action: string) => audit.find((entry) => entry['action'] === action)?.['actor'];
  const execution = await http.store.getExecution({ machineId: MACHINE, executionId: made.body.execution_id });
  expect(execution?.createdBy).toBe(by('execution.create'));
  expect(execution?.createdBy).toMatch(/^key-/);
  expect(execution?.cancelledBy).toBe(by('execution.cancel'));
  expect(execution?.cancelledBy).not.toBe(execution?.createdBy);
});

test('a stolen database file contains no usable key', async () => {
  await using http = await httpFixture();
  const key = await keyFor(http, ['admin']);
  const { dataDir } = http.config;
  const files = readdirSync(dataDir).map((name) => readFileSync(join(dataDir, name)));
  expect(files.some((bytes) => bytes.includes(key) || bytes.includes(key.slice('xpk_'.length)))).toBe(false);
  expect(files.some((bytes) => bytes.includes('"name":"k"') || bytes.includes('key-'))).toBe(true);
});
