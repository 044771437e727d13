/** Traces as a collector receives them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Started } from '../../../helpers/processes.ts';
import { leaveEvents } from '../../../helpers/running-server.ts';
import { attributesOf, Collector } from './collector.ts';
import { runFalse, traced } from './traced-server.ts';

const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const CREATE = 'POST /v1/machines/:machine_id/executions';

test("the trace of an execution leads from the caller's span over commit, dispatch and run to its end", async () => {
  await using collector = await Collector.start();
  const server = await traced(collector.url, { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc' });
  const id = await runFalse(server, {
    traceparent: `00-${CALLER.traceId}-${CALLER.spanId}-01`,
    tracestate: 'vendor=opaque',
  });
  await server[Symbol.asyncDispose]();

  const request = collector.named(CREATE);
  const execution = collector.named('execution');
  expect(request).toMatchObject({ ...CALLER, spanId: expect.any(String), parentSpanId: CALLER.spanId, kind: 2 });
  expect(request).toMatchObject({ traceState: 'vendor=opaque' });
  expect(attributesOf(request)).toMatchObject({ 'http.response.status_code': 200, 'http.request.method': 'POST' });
  expect(execution).toMatchObject({ traceId: CALLER.traceId, parentSpanId: request.spanId });
  expect(execution.status).toEqual({ code: 2, message: 'nonzero_exit' });
  expect(attributesOf(execution)).toMatchObject({
    'execplane.execution_id': id,
    'execplane.machine_id': 'dm-one',
    'execplane.status': 'failed',
    'process.exit.code': 1,
  });
  for (const part of ['commit', 'dispatch', 'run'].map((name) => collector.named(name))) {
    expect(part).toMatchObject({ traceId: CALLER.traceId, parentSpanId: execution.spanId });
    expect(attributesOf(part)['execplane.execution_id']).toBe(id);
    expect(BigInt(part.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(execution.startTimeUnixNano));
    expect(BigInt(part.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(part.startTimeUnixNano));
    expect(BigInt(part.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(execution.endTimeUnixNano));
  }
  expect(new Set(collector.spans.map(({ spanId }) => spanId)).size).toBe(collector.spans.length);
  expect(collector.resources[0]).toMatchObject({
    attributes: [{ key: 'service.name', value: { stringValue: 'execplane' } }, { key: 'service.version' }],
  });
  expect(collector.requests[0]).toEqual({ url: '/v1/traces', authorization: 'Bearer abc' });
  expect(JSON.stringify(collector.spans)).not.toContain('hunter2');
});

test("a request without a caller's span begins a trace; a caller's span that is not sampled leaves nothing", async () => {
  await using collector = await Collector.start();
  const server = await traced(collector.url);
  await server.client.request('GET', '/v1/machines');
  await server.client.request('GET', '/v1/audit', { headers: { traceparent: 'what is this' } });
  await runFalse(server, { traceparent: `00-${CALLER.traceId}-${CALLER.spanId}-00` });
  await server.client.request('GET', '/healthz');
  await server.client.request('GET', '/v1/nothing');
  await server[Symbol.asyncDispose]();
  const names = collector.spans.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['GET /v1/machines', 'GET /v1/audit']));
  expect(names.filter((name) => !/^(GET|POST) \/v1\/(machines|audit|join-tokens|agents)/.test(name))).toEqual([]);
  expect(names).not.toContain(CREATE);
  for (const name of ['GET /v1/machines', 'GET /v1/audit']) {
    expect(collector.named(name).parentSpanId).toBeUndefined();
    expect(collector.named(name).traceId).toMatch(/^[0-9a-f]{32}$/);
  }
});

test('a refused request has a span, and so has a stream whose reader disconnects', async () => {
  await using collector = await Collector.start();
  const server = await traced(collector.url);
  await server.client.with('wrong').request('GET', '/v1/machines');
  await leaveEvents(server);
  await server[Symbol.asyncDispose]();
  expect(attributesOf(collector.named('GET /v1/machines'))['http.response.status_code']).toBe(401);
  expect(collector.named('GET /v1/machines/:machine_id/executions/:execution_id/events')).toBeDefined();
});

test.each([
  ['no SDK is loaded without a collector', {}, false],
  ['the SDK is loaded with a collector', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }, true],
])('%s', async (_, env, loaded) => {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-tracing-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const program = join(import.meta.dirname, '../../../fixtures/tracing/loaded-modules.ts');
  const started = new Started(process.execPath, [program], { ...env, EXECPLANE_DATA_DIR: join(dir, 'data') });
  expect(await started.exited).toEqual({ code: 0, signal: null });
  expect(started.stdout.includes('@opentelemetry/sdk-trace')).toBe(loaded);
  // prom-client loads the API package, whose functions do nothing without the SDK.
  if (!loaded) expect(started.stdout).toMatch(/^(@opentelemetry\/api\n)?$/);
});
