/** Servers of two versions on one database. The newer server has migrated the schema, and the older server can use it or not. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SchemaTooNewError } from '../../../../src/store/postgres/connections/migrations.ts';
import { Bench, MACHINE, record, RUNNER } from '../../contract/fixture.ts';
import { useSchemas } from '../schemas.ts';

const MIGRATIONS = new URL('../../../../migrations/postgres/', import.meta.url);

const schemas = useSchemas();

async function open(): Promise<Bench> {
  return new Bench(await schemas.open());
}

/** Simulates a later migration: a new column in each growing table, and the oldest compatible schema. */
async function upgrade(readableBy: string): Promise<void> {
  for (const table of ['machines', 'executions', 'events', 'replicas']) {
    await schemas.query(`ALTER TABLE ${table} ADD COLUMN of_a_later_version text NOT NULL DEFAULT ''`);
  }
  await schemas.query(`INSERT INTO schema_migrations (version, readable_by) VALUES (9999, (${readableBy}))`);
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

test('a build from before the indexes of migrations 0117 and 0122 can be started again on their schema', async () => {
  await open();
  const [row] = await schemas.query<{ oldest: number }>(
    'SELECT max(readable_by)::int AS oldest FROM schema_migrations',
  );
  expect(row?.oldest).toBeLessThan(117);
});

test('each later migration names the builds that can run against it', () => {
  const later = readdirSync(MIGRATIONS).filter((name) => name.endsWith('.sql') && name > '0124');
  const silent = later.filter(
    (name) => !readFileSync(new URL(name, MIGRATIONS), 'utf8').startsWith('-- readable_by: '),
  );
  expect(later).toContain('0124_older_builds.sql');
  expect(silent).toEqual([]);
});
