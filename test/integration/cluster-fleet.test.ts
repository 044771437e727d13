/**
 * A batch over a fleet of simulated agents, and a schedule, while servers are killed: each command is started at most once, and the failure
 * budget holds. FLEET_AGENTS sets the number of agents (1,000 take about a minute).
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fleet } from '../../bench/floors/fleet.ts';
import type { WireExecution } from '../helpers/client.ts';
import { TestCluster } from '../helpers/cluster.ts';
import { until } from '../helpers/processes.ts';

const AGENTS = Number(process.env['FLEET_AGENTS'] ?? 60);
/** Every tenth agent fails. */
const FAILING = AGENTS / 10;
const COMMAND = ['false-on-each', '10'];
const MACHINES = Array.from({ length: AGENTS }, (_, index) => `dm-sim-${index}`);
const WAIT_MS = 50_000;

let cluster: TestCluster;
let fleet: Fleet;

beforeAll(async () => {
  cluster = await TestCluster.start({ servers: 3 });
  const body = { reusable: true };
  const { token } = await cluster.server(0).client.ask<{ token: string }>('POST', '/v1/join-tokens', { body });
  fleet = new Fleet(cluster.balancer.url, { count: AGENTS, token, saysStarts: true });
  await fleet.reached((connected) => connected === AGENTS);
}, 300_000);
afterAll(async () => {
  await fleet?.stop();
  await cluster?.dispose();
});

interface WireBatch {
  batch_id: string;
  status: string;
  counts: Record<string, number>;
}

/** Creates a batch over all machines on a server that is killed after a third of the starts. Returns the ended batch. */
async function batchUnderKill(on: number, more: object): Promise<WireBatch> {
  fleet.starts.clear();
  const body = { selector: { machine_ids: MACHINES }, command: COMMAND, max_concurrency: 5, ...more };
  const { batch_id: id } = await cluster.server(on).client.ask<WireBatch>('POST', '/v1/batches', { body });
  await until('a third has started', () => fleet.starts.size >= AGENTS / 3);
  await cluster.server(on).kill();
  const other = cluster.server((on + 1) % 3).client;
  let batch: WireBatch | undefined;
  await until(
    () => `it is over: ${JSON.stringify(batch)}`,
    async () => {
      batch = await other.ask<WireBatch>('GET', `/v1/batches/${id}`, { query: { wait_ms: WAIT_MS } });
      return batch.status !== 'running';
    },
    240_000,
  );
  await cluster.server(on).restart();
  if (batch === undefined) throw new Error('there is no batch');
  return batch;
}

const startedTwice = (): string[] => [...fleet.starts].flatMap(([id, count]) => (count === 1 ? [] : [id]));

test('a batch whose server is killed runs once on every machine', async () => {
  const batch = await batchUnderKill(0, {});
  expect(batch).toMatchObject({ status: 'failed', counts: { succeeded: AGENTS - FAILING, failed: FAILING } });
  expect(fleet.starts.size).toBe(AGENTS);
  expect(startedTwice()).toEqual([]);
}, 300_000);

test('a batch whose server is killed keeps its failure budget', async () => {
  const budget = FAILING / 2;
  const batch = await batchUnderKill(1, { max_failures: budget });
  expect(batch.status).toBe('failed');
  const { failed = 0, cancelled = 0, succeeded = 0, ...others } = batch.counts;
  expect(others).toEqual({});
  // Commands that were running when the budget was spent may still have failed.
  expect(failed).toBeGreaterThan(budget);
  expect(failed).toBeLessThanOrEqual(budget + 5);
  expect(cancelled).toBeGreaterThan(0);
  expect(failed + cancelled + succeeded).toBe(AGENTS);
  expect(startedTwice()).toEqual([]);
  expect(fleet.starts.size).toBeLessThanOrEqual(AGENTS);
}, 300_000);

test('a schedule on three servers runs each tick at most once, also while one of them is killed', async () => {
  fleet.starts.clear();
  const { client } = cluster.server(1);
  const selector = { machine_ids: MACHINES.slice(1, 4) };
  const body = { every: '1s', selector, command: ['true'] };
  const { schedule_id: id } = await client.ask<{ schedule_id: string }>('POST', '/v1/schedules', { body });
  const path = `/v1/schedules/${id}`;
  type Run = { due_at: string; outcome: string; batch?: WireBatch };
  const runs = async () => (await client.ask<{ items: Run[] }>('GET', `${path}/runs`, { query: { limit: 100 } })).items;
  const started = async (): Promise<Run[]> => (await runs()).filter(({ outcome }) => outcome === 'started');
  await until('some ticks have run', async () => (await started()).length >= 3);
  await cluster.server(2).kill();
  const before = (await started()).length;
  await until('more ticks have run', async () => (await started()).length >= before + 3);
  await cluster.server(2).restart();
  await client.ask('PATCH', path, { body: { paused: true } });
  await until('no run is open', async () =>
    (await runs()).every(({ outcome }) => !['starting', 'queued'].includes(outcome)),
  );
  const all = await runs();
  expect(new Set(all.map(({ due_at: at }) => at)).size).toBe(all.length);
  const ids: string[] = [];
  for (const { batch } of await started()) {
    const over = await client.ask<WireBatch>('GET', `/v1/batches/${batch?.batch_id}`, { query: { wait_ms: WAIT_MS } });
    expect(over).toMatchObject({ status: 'succeeded', counts: { succeeded: selector.machine_ids.length } });
    const page = await client.ask<{ items: WireExecution[] }>('GET', `/v1/batches/${batch?.batch_id}/executions`);
    ids.push(...page.items.map(({ execution_id: one }) => one));
  }
  expect([...fleet.starts.keys()].toSorted()).toEqual(ids.toSorted());
  expect(startedTwice()).toEqual([]);
}, 120_000);
