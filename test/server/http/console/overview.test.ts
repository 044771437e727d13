/** The overview of the console: a chart of counts by minute. */
import { expect, test } from 'vitest';
import type { Execution } from '../../../../src/store/store.ts';
import { startExecutionCounts } from '../../../../src/server/operations/execution-counts.ts';
import { startName, startPercentile } from '../../../../src/server/operations/start-times.ts';
import { httpFixture } from '../http-fixture.ts';

const NOW = Date.parse('2026-03-01T12:34:56.000Z');

function ended(status: Execution['status'], waitMs?: number): Execution {
  return { status, createdAt: NOW, ...(waitMs === undefined ? {} : { startedAt: NOW + waitMs }) } as Execution;
}

async function overview(http: Awaited<ReturnType<typeof httpFixture>>, span: string) {
  const { status, body } = await http.call('GET', `/console/overview?span=${span}`);
  expect(status).toBe(200);
  return body as unknown as { step_ms: number; points: Record<string, unknown>[] } & Record<string, unknown>;
}

test('creates and ends are counted by minute, for an hour, a day and a week', async () => {
  let now = NOW;
  await using http = await httpFixture({ now: () => now });
  const counts = startExecutionCounts({ store: http.store, logger: http.app.log, now: () => now });
  const request = {} as Parameters<typeof counts.created>[1];
  for (const status of ['succeeded', 'failed', 'expired', 'cancelled'] as const) {
    counts.created(ended('queued'), request);
    counts.committed(ended('running', 8));
    counts.committed(ended(status, status === 'expired' ? undefined : 8));
  }
  now += 60_000;
  counts.committed(ended('succeeded', 1500));
  await counts.stop();

  const hour = await overview(http, 'hour');
  expect([hour.step_ms, hour.points.length]).toEqual([60_000, 60]);
  expect(hour.points.slice(-3)).toEqual([
    { at: '2026-03-01T12:33:00.000Z', created: 0, succeeded: 0, failed: 0, cancelled: 0 },
    {
      at: '2026-03-01T12:34:00.000Z',
      created: 4,
      succeeded: 1,
      failed: 2,
      cancelled: 1,
      start_p50_ms: 10,
      start_p95_ms: 10,
    },
    {
      at: '2026-03-01T12:35:00.000Z',
      created: 0,
      succeeded: 1,
      failed: 0,
      cancelled: 0,
      start_p50_ms: 2000,
      start_p95_ms: 2000,
    },
  ]);
  const day = await overview(http, 'day');
  expect(day.points.at(-1)).toMatchObject({
    at: '2026-03-01T12:30:00.000Z',
    created: 4,
    succeeded: 2,
    start_p95_ms: 2000,
  });
  const week = await overview(http, 'week');
  expect([week.points.length, week.points.at(-1)?.['created']]).toEqual([84, 4]);
});

test('machines and executions are counted as they are now; a key that is limited to machines is refused', async () => {
  await using http = await httpFixture();
  await http.create();
  expect(await overview(http, 'hour')).toMatchObject({
    machines: { running: 1 },
    executions: { queued: 1 },
    failing_callbacks: 0,
  });
  const body = { name: 'limited', scopes: ['machines:read'], machine_ids: ['dm-one'] };
  const { key } = (await http.call('POST', '/v1/api-keys', { body })).body as unknown as { key: string };
  expect((await http.call('GET', '/console/overview', { key })).status).toBe(403);
  expect((await http.call('GET', '/console/overview?span=year')).status).toBe(422);
});

test('counts that could not be written are written later', async () => {
  const written: number[] = [];
  let full = true;
  const store = {
    addCounts: async ({ counts }: { counts: readonly { count: number }[] }) => {
      if (full) throw new Error('disk full');
      written.push(...counts.map(({ count }) => count));
    },
  };
  const counts = startExecutionCounts({ store, logger: { warn: () => {} }, now: () => NOW });
  const request = {} as Parameters<typeof counts.created>[1];
  counts.created(ended('queued'), request);
  await counts.stop();
  full = false;
  counts.created(ended('queued'), request);
  await counts.stop();
  expect(written).toEqual([2]);
});

test('waits are counted in classes, and a percentile is the bound of its class', () => {
  expect([0, 5, 6, 100, 7_200_000].map(startName)).toEqual([
    'start_5',
    'start_5',
    'start_10',
    'start_100',
    'start_more',
  ]);
  const counts = new Map([
    ['start_5', 90],
    ['start_100', 9],
    ['start_more', 1],
  ]);
  expect([0.5, 0.95, 1].map((share) => startPercentile(counts, share))).toEqual([5, 100, 7_200_000]);
  expect(startPercentile(new Map(), 0.5)).toBeUndefined();
});
