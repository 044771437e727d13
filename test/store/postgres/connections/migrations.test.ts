/** Servers of two versions on one database: the newer one has migrated the schema to one that the older one can use, or cannot. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { SchemaTooNewError } from '../../../../src/store/postgres/connections/migrations.ts';
import { openPostgresStore } from '../../../../src/store/postgres/store.ts';
import type { Store } from '../../../../src/store/store.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';
import { Bench, MACHINE, record, RUNNER, T0 } from '../../contract/fixture.ts';

let postgres: TestPostgres | undefined;
let url = '';
const stores: Store[] = [];

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  url = (await postgres?.schema()) ?? '';
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

async function open(): Promise<Bench> {
  const store = await openPostgresStore({ url, version: 'test', now: () => T0 });
  stores.push(store);
  return new Bench(store);
}

/** The result of a later migration: a new column in each table that grows, and the oldest schema that can still use it. */
async function upgrade(readableBy: string): Promise<void> {
  for (const table of ['machines', 'executions', 'events', 'replicas']) {
    await postgres?.query(`ALTER TABLE ${table} ADD COLUMN of_a_later_version text NOT NULL DEFAULT ''`, url);
  }
  await postgres?.query(`INSERT INTO schema_migrations (version, readable_by) VALUES (9999, (${readableBy}))`, url);
}

const LATEST = 'SELECT max(version) FROM schema_migrations';

async function runsOne(bench: Bench, executionId: string): Promise<void> {
  await bench.dispatched({ executionId });
  await bench.report([record(executionId, 1, 'started'), record(executionId, 2, 'stdout', 'hi')]);
  await bench.report([record(executionId, 3, 'ended', { outcome: 'exited', code: 0, stdout: 2, stderr: 0 })]);
  expect(await bench.get(executionId)).toMatchObject({ dispatchedTo: RUNNER, stdout: { bytes: 2 }, reported: 3 });
}

test('an older server keeps working while a newer one upgrades the schema, and can be started again (fault 59)', async () => {
  const running = await open();
  await running.connect();
  await runsOne(running, 'exec-before');
  await upgrade(LATEST);
  await runsOne(running, 'exec-beside');
  const started = await open();
  await started.connect();
  await runsOne(started, 'exec-after');
  const { items } = await running.store.listExecutions({ machineId: MACHINE, limit: 9 });
  expect(items.map(({ executionId }) => executionId).toSorted()).toEqual(['exec-after', 'exec-before', 'exec-beside']);
});

test('an older server does not start if the schema no longer supports it (fault 59)', async () => {
  await open();
  await upgrade('9999');
  await expect(open()).rejects.toThrow(SchemaTooNewError);
});
