/** Writers: writes share transactions and do not wait for a blocked transaction. */
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import { until } from '../../helpers/processes.ts';
import { Bench, T0 } from '../contract/fixture.ts';

let postgres: TestPostgres;
let url = '';
let store: Store;
let bench: Bench;
const commits: number[] = [];

beforeAll(async () => {
  postgres = await TestPostgres.start();
  url = await postgres.schema();
  const onCommit = ({ writes }: { writes: number }): void => void commits.push(writes);
  store = await openPostgresStore({ url, version: 'test', now: () => T0, onCommit });
  bench = new Bench(store);
});
afterAll(async () => {
  await store?.close();
  await postgres?.stop();
});

test('writes for several machines at the same time share a transaction', async () => {
  const machines = Array.from({ length: 20 }, (_, index) => `dm-together-${index}`);
  for (const machineId of machines) await bench.connect(machineId);
  commits.length = 0;
  await Promise.all(machines.map((machineId) => bench.create({ machineId })));
  expect(commits).toEqual([machines.length]);
});

test('agents that enrol with one token at the same time share a transaction', async () => {
  const token = { joinTokenId: 'many', reusable: true, createdAt: T0, expiresAt: T0 + 1000 };
  await store.createJoinToken({ token, tokenHash: Buffer.from('many'), now: T0 });
  commits.length = 0;
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      store.enrol({
        tokenHash: Buffer.from('many'),
        freshMachineId: `dm-enrolled-${index}`,
        credentialHash: Buffer.from(`credential ${index}`),
        now: T0,
      }),
    ),
  );
  expect(outcomes.every(({ outcome }) => outcome === 'enrolled')).toBe(true);
  expect(commits).toEqual([outcomes.length]);
});

test('a machine whose row is locked by another server does not delay the writes for others', async () => {
  const free = Array.from({ length: 30 }, (_, index) => `dm-free-${index}`);
  for (const machineId of ['dm-locked', ...free]) await bench.connect(machineId);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  const stuck: Promise<unknown>[] = [];
  try {
    await other.query("BEGIN; SELECT 1 FROM machines WHERE public_id = 'dm-locked' FOR UPDATE");
    let isOver = false;
    const locked = bench.create({ machineId: 'dm-locked' }).finally(() => {
      isOver = true;
    });
    stuck.push(locked);
    // Writes that arrive before the block is detected can be in the blocked transaction.
    await until('a write for another machine goes past it', async () => {
      const created = bench.create({ machineId: free.pop() ?? '' });
      stuck.push(created);
      return Promise.race([created.then(() => true), setTimeout(100, false)]);
    });
    expect(isOver).toBe(false);
  } finally {
    await other.end();
    await Promise.allSettled(stuck);
  }
});

test('no table is scanned completely, however small it was when its statements were planned', async () => {
  await bench.connect('dm-many');
  for (let round = 0; round < 150; round += 1) {
    const { executionId } = await bench.create({ machineId: 'dm-many' });
    await store.requestCancel({ machineId: 'dm-many', executionId, by: 'admin', now: T0 });
    await store.getExecution({ machineId: 'dm-many', executionId });
    await store.cluster?.getExecutions({ executionIds: [executionId] });
  }
  // Sessions publish their counts with a delay.
  const counted = async () => {
    const text = `SELECT seq_tup_read::int AS read, n_tup_ins::int AS inserted FROM pg_stat_user_tables
      WHERE relname = 'executions' AND schemaname = current_schema()`;
    return (await postgres.query<{ read: number; inserted: number }>(text, url))[0] ?? { read: 0, inserted: 0 };
  };
  await store.close();
  await until('the counts are there', async () => (await counted()).inserted >= 150);
  expect((await counted()).read).toBeLessThan(150);
});
