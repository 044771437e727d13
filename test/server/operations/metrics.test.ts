import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { createExecutionMetrics } from '../../../src/server/operations/metrics/executions.ts';
import { type MetricFamily, parseMetrics } from '../../helpers/prometheus-text.ts';
import { type RunningTestServer, runningServer } from '../../helpers/running-server.ts';
import { ScriptedAgent } from '../../helpers/scripted-agent.ts';
import { storedExecution } from '../../helpers/stored-execution.ts';
import { httpFixture, MACHINE } from '../http/http-fixture.ts';

const ZERO = { bytes: 0, truncated: false };

/** The value of the only sample with these labels. */
function sampleOf(families: Map<string, MetricFamily>, name: string, labels: Record<string, string> = {}): number {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  const found = (family?.samples ?? []).filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found.length !== 1) throw new Error(`${name}: ${found.length} samples`);
  return found[0]?.value ?? Number.NaN;
}

async function scrape(server: RunningTestServer): Promise<Map<string, MetricFamily>> {
  return parseMetrics((await server.client.get('/metrics')).bytes.toString());
}

async function agentOf(server: RunningTestServer, machineId: string): Promise<ScriptedAgent> {
  const agent = await ScriptedAgent.join(server.url, await server.machine(machineId));
  onTestFinished(async () => void (await agent.close()));
  return agent;
}

test('metrics count by the pattern of the route, whatever clients request', async () => {
  await using http = await httpFixture();
  await http.create();
  await http.create();
  await http.call('GET', '/v1/machines/dm-other');
  await http.call('GET', '/v1/hunter2"}');
  const answer = await http.call('GET', '/metrics');
  expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = answer.raw.toString();
  const families = parseMetrics(text);
  const requests = (labels: Record<string, string>) =>
    sampleOf(families, 'execplane_http_request_duration_seconds_count', labels);
  expect(requests({ method: 'POST', route: '/v1/machines/:machine_id/executions', status: '200' })).toBe(2);
  expect(requests({ method: 'GET', route: '/v1/machines/:machine_id', status: '404' })).toBe(1);
  expect(requests({ method: 'any', route: 'none', status: '404' })).toBe(1);
  expect(sampleOf(families, 'execplane_executions', { status: 'queued' })).toBe(2);
  expect(sampleOf(families, 'execplane_machines', { phase: 'running' })).toBe(1);
  expect(text).not.toContain('hunter2');
  expect(text).not.toContain(MACHINE);
});

test('metrics need a key, any key', async () => {
  await using http = await httpFixture();
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'm', scopes: ['machines:read'] } });
  expect((await http.call('GET', '/metrics', { key: undefined })).status).toBe(401);
  expect((await http.call('GET', '/metrics', { key: String(made.body['key']) })).status).toBe(200);
});

test('a server counts how executions wait, start, print and end, its commits and the bytes of its sockets', async () => {
  await using server = await runningServer();
  const machine = server.client.machine('dm-one');
  const agent = await agentOf(server, 'dm-one');
  const ran = await machine.create({ command: ['a'] });
  await agent.next('start');
  agent.report(agent.started(ran.execution_id), agent.stdout(ran.execution_id, 'x'.repeat(50_000)));
  agent.report(agent.stdout(ran.execution_id, 'y'), agent.ended(ran.execution_id, { stdout_bytes: 50_001 }));
  await machine.ended(ran.execution_id);
  const silent = await machine.create({ command: ['b'] });
  await agent.next('start');
  const end = { status: 'failed', exit_code: 1, error_code: 'nonzero_exit' } as const;
  agent.report(agent.started(silent.execution_id), agent.ended(silent.execution_id, end));
  await machine.ended(silent.execution_id);
  await server.machine('dm-away');
  const waiting = await server.client.machine('dm-away').create({ command: ['c'] });

  const families = await scrape(server);
  const value = (name: string, labels?: Record<string, string>) => sampleOf(families, name, labels);
  expect(waiting.status).toBe('wake_in_progress');
  expect(value('execplane_executions', { status: 'wake_in_progress' })).toBe(1);
  expect(value('execplane_oldest_waiting_seconds')).toBeGreaterThanOrEqual(0);
  expect(value('execplane_dispatch_seconds_count')).toBe(2);
  expect(value('execplane_first_byte_seconds_count')).toBe(1);
  expect(value('execplane_executions_ended_total', { status: 'succeeded', error_code: '' })).toBe(1);
  expect(value('execplane_executions_ended_total', { status: 'failed', error_code: 'nonzero_exit' })).toBe(1);
  expect(value('execplane_commit_writes_sum')).toBeGreaterThanOrEqual(value('execplane_commit_writes_count'));
  expect(value('execplane_commit_duration_seconds_count')).toBe(value('execplane_commit_writes_count'));
  expect(value('execplane_links')).toBe(1);
  expect(value('execplane_connections', { peer: 'agent' })).toBe(1);
  expect(value('execplane_network_bytes_total', { peer: 'agent', direction: 'in' })).toBeGreaterThan(50_000);
  expect(value('execplane_network_bytes_total', { peer: 'client', direction: 'in' })).toBeLessThan(50_000);
  expect(value('execplane_network_bytes_total', { peer: 'client', direction: 'out' })).toBeGreaterThan(0);
  expect(value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0);
});

test('the bytes of closed sockets stay counted', async () => {
  await using server = await runningServer();
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-one'));
  const before = sampleOf(await scrape(server), 'execplane_network_bytes_total', { peer: 'agent', direction: 'in' });
  await agent.close();
  await expect
    .poll(async () => sampleOf(await scrape(server), 'execplane_connections', { peer: 'agent' }), { timeout: 10_000 })
    .toBe(0);
  const after = sampleOf(await scrape(server), 'execplane_network_bytes_total', { peer: 'agent', direction: 'in' });
  expect(before).toBeGreaterThan(0);
  expect(after).toBeGreaterThanOrEqual(before);
});

test('a start that is sent again is one dispatch, and the time to the first byte counts from the first', async () => {
  let now = 1000;
  const registry = new Registry();
  const metrics = createExecutionMetrics(registry, () => now);
  const execution = storedExecution({ createdAt: 1000 });
  now = 1100;
  metrics.dispatched(execution);
  now = 1500;
  metrics.dispatched(execution);
  now = 2100;
  const running = { ...execution, status: 'running' as const, stdout: { bytes: 1, truncated: false } };
  metrics.committed(running);
  metrics.committed({ ...running, status: 'succeeded' });
  const families = parseMetrics(await registry.metrics());
  expect(sampleOf(families, 'execplane_dispatch_seconds_count')).toBe(1);
  expect(sampleOf(families, 'execplane_dispatch_seconds_sum')).toBe(0.1);
  expect(sampleOf(families, 'execplane_first_byte_seconds_count')).toBe(1);
  expect(sampleOf(families, 'execplane_first_byte_seconds_sum')).toBe(1);
});

test('an execution that ends without output has no time to the first byte', async () => {
  const registry = new Registry();
  const metrics = createExecutionMetrics(registry, () => 1000);
  const execution = storedExecution();
  metrics.dispatched(execution);
  metrics.committed({ ...execution, status: 'failed', errorCode: 'agent_lost', stdout: ZERO });
  metrics.committed({ ...execution, status: 'running', stdout: { bytes: 5, truncated: false } });
  const families = parseMetrics(await registry.metrics());
  expect(sampleOf(families, 'execplane_first_byte_seconds_count')).toBe(0);
  expect(sampleOf(families, 'execplane_executions_ended_total', { error_code: 'agent_lost' })).toBe(1);
});

test('the dashboard shows only existing families, and all of them', async () => {
  await using server = await runningServer();
  const text = readFileSync(join(import.meta.dirname, '../../../deploy/grafana/execplane.json'), 'utf8');
  const { panels } = JSON.parse(text) as { panels: { title: string; targets?: { expr: string }[] }[] };
  const families = await scrape(server);
  const names = [...families].flatMap(([name, { type }]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  const used = panels.flatMap(({ targets = [] }) =>
    targets.flatMap(({ expr }) => expr.match(/\b(execplane|nodejs|process)_\w+/g) ?? []),
  );
  expect(used.filter((name) => !names.includes(name))).toEqual([]);
  const shown = new Set(used.map((name) => (names.includes(name) ? name.replace(/_(bucket|sum|count)$/, '') : '')));
  expect([...families.keys()].filter((name) => !shown.has(name))).toEqual([]);
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) expect(expr.split('(').length, `${title}: ${expr}`).toBe(expr.split(')').length);
  }
});

test('docs/operate.md explains every family', async () => {
  await using server = await runningServer();
  const page = readFileSync(join(import.meta.dirname, '../../../docs/operate.md'), 'utf8');
  expect([...(await scrape(server)).keys()].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
