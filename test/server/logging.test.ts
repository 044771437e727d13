import { expect, test } from 'vitest';
import { createLogger } from '../../src/server/logging.ts';
import { leaveEvents, runningServer } from '../helpers/running-server.ts';
import { httpFixture, MACHINE } from './http/http-fixture.ts';

type Line = Record<string, unknown>;

const requestsOf = (log: readonly string[]): Line[] =>
  log.map((line) => JSON.parse(line) as Line).filter(({ msg }) => msg === 'request');

test('a request that may change something is logged with the pattern of its route and none of its content', async () => {
  await using http = await httpFixture();
  await http.call('POST', `/v1/machines/${MACHINE}/executions?wait_ms=0&q=hunter2`, {
    body: { command: ['true'], env: { A: 'hunter2' } },
    headers: { 'x-trace': 'hunter2', 'idempotency-key': 'hunter2', 'x-request-id': 'hunter2' },
  });
  const refused = await http.call('DELETE', `/v1/machines/${MACHINE}`, { key: undefined });
  expect(requestsOf(http.log)).toStrictEqual([
    {
      level: 30,
      time: expect.any(Number),
      msg: 'request',
      method: 'POST',
      route: '/v1/machines/:machine_id/executions',
      status: 200,
      duration_ms: expect.any(Number),
      request_id: expect.any(String),
    },
    expect.objectContaining({
      method: 'DELETE',
      route: '/v1/machines/:machine_id',
      status: 401,
      request_id: refused.headers['x-request-id'],
    }),
  ]);
  expect(http.log.join('')).not.toContain('hunter2');
});

const CALLS = [
  ['GET', '/v1/machines'],
  ['GET', '/healthz'],
  ['GET', '/v1/nothing'],
  ['POST', '/v1/nothing'],
  ['POST', '/v1/join-tokens'],
] as const;
const WRITE = ['POST /v1/join-tokens'];
const ALL = ['GET /v1/machines', 'GET /healthz', 'GET undefined', 'POST undefined', ...WRITE];

test.each([
  ['none', 'info', []],
  ['writes', 'info', WRITE],
  ['all', 'info', ALL],
  ['none', 'debug', ALL],
  ['all', 'warn', []],
] as const)('requests logged with %s at %s: %j', async (logRequests, logLevel, expected) => {
  await using http = await httpFixture({ config: { logRequests, logLevel } });
  for (const [method, path] of CALLS) await http.call(method, path);
  expect(requestsOf(http.log).map(({ method, route }) => `${method} ${route}`)).toStrictEqual(expected);
});

test('a stream whose reader disconnects is logged with the time that it was open', async () => {
  await using server = await runningServer({ logRequests: 'all', logLevel: 'info' });
  await leaveEvents(server);
  const lineOf = () => requestsOf(server.log).find(({ route }) => String(route).endsWith('/events'));
  await expect.poll(lineOf, { timeout: 20_000 }).toMatchObject({ status: 200, cut_off: true, level: 30 });
});

test('the log of an error has only the listed fields, and its causes', () => {
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line: string) => void lines.push(line) });
  const cause = Object.assign(new TypeError('inner'), { code: 'EIO', env: 'hunter2' });
  logger.error({ err: new Error('outer', { cause }) }, 'failed');
  const { err } = JSON.parse(lines[0] ?? '') as { err: Record<string, unknown> };
  expect(err).toMatchObject({ type: 'Error', message: 'outer', cause: { type: 'TypeError', code: 'EIO' } });
  expect(lines.join('')).not.toContain('hunter2');
});
