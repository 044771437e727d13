import { expect, test } from 'vitest';
import { createLogger } from '../../src/server/logging.ts';
import { edgeFixture, MACHINE } from './edge-fixture.ts';

test('requests are logged at debug, by the pattern of their route, with nothing of theirs', async () => {
  await using edge = await edgeFixture({ config: { logLevel: 'debug' } });
  await edge.call('POST', `/v1/machines/${MACHINE}/executions?wait_ms=0&q=hunter2`, {
    body: { command: ['true'], env: { A: 'hunter2' } },
    headers: { 'x-trace': 'hunter2', 'idempotency-key': 'hunter2' },
  });
  const lines = edge.log.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toMatchObject([
    {
      msg: 'request',
      method: 'POST',
      route: '/v1/machines/:machine_id/executions',
      status: 200,
      duration_ms: expect.any(Number),
      request_id: expect.any(String),
    },
  ]);
  expect(edge.log.join('')).not.toContain('hunter2');
});

test('at info a request that goes well is not logged', async () => {
  await using edge = await edgeFixture();
  await edge.call('GET', '/v1/machines');
  await edge.call('GET', '/v1/nothing');
  expect(edge.log).toStrictEqual([]);
});

test('of an error only what is listed is logged, and its causes', () => {
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line: string) => void lines.push(line) });
  const cause = Object.assign(new TypeError('inner'), { code: 'EIO', env: 'hunter2' });
  logger.error({ err: new Error('outer', { cause }) }, 'failed');
  const { err } = JSON.parse(lines[0] ?? '') as { err: Record<string, unknown> };
  expect(err).toMatchObject({ type: 'Error', message: 'outer', cause: { type: 'TypeError', code: 'EIO' } });
  expect(lines.join('')).not.toContain('hunter2');
});
