import { expect, test } from 'vitest';
import { edgeFixture, MACHINE } from './edge-fixture.ts';

test('metrics count by the pattern of the route, whatever clients ask for', async () => {
  await using edge = await edgeFixture();
  await edge.create();
  await edge.create();
  await edge.call('GET', '/v1/machines/dm-other');
  await edge.call('GET', '/v1/hunter2"}');
  const answer = await edge.call('GET', '/metrics');
  expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = answer.raw.toString();
  const count = 'execplane_http_request_duration_seconds_count';
  expect(text).toContain(`${count}{method="POST",route="/v1/machines/:machine_id/executions",status="200"} 2\n`);
  expect(text).toContain(`${count}{method="GET",route="/v1/machines/:machine_id",status="404"} 1\n`);
  expect(text).toContain(`${count}{method="any",route="none",status="404"} 1\n`);
  expect(text).toContain('execplane_executions{status="queued"} 2\n');
  expect(text).toContain('execplane_machines{phase="running"} 1\n');
  expect(text).not.toContain('hunter2');
  expect(text).not.toContain(MACHINE);
  for (const line of text.trimEnd().split('\n')) expect(line).toMatch(/^(# .+|[a-z_0-9]+(\{.*\})? [0-9.e+-]+)$/);
});

test('metrics need a key, any key', async () => {
  await using edge = await edgeFixture();
  const made = await edge.call('POST', '/v1/api-keys', { body: { name: 'm', scopes: ['machines:read'] } });
  expect((await edge.call('GET', '/metrics', { key: undefined })).status).toBe(401);
  expect((await edge.call('GET', '/metrics', { key: String(made.body['key']) })).status).toBe(200);
});
