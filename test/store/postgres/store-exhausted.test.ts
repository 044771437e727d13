/** PostgreSQL without connections, and without room on its disk: writes fail as unavailable, and succeed when there is room again. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import { type Store, StoreUnavailableError } from '../../../src/store/store.ts';
import { TestPostgres } from '../../helpers/postgres.ts';

const POLL = { timeout: 20_000, interval: 50 };

let postgres: TestPostgres | undefined;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());

/** A store whose user is no superuser, with one machine. */
async function storeOf(name: string) {
  if (postgres === undefined) throw new Error('PostgreSQL does not run');
  const database = postgres;
  const user = `${name}_${process.pid}`;
  await database.query(`CREATE ROLE ${user} LOGIN; GRANT CREATE ON DATABASE postgres TO ${user}`);
  const url = new URL(database.url);
  url.username = user;
  url.searchParams.set('options', `-c search_path=${user}`);
  await database.query(`CREATE SCHEMA ${user} AUTHORIZATION ${user}`);
  const store = await openPostgresStore({ url: url.href, version: 'test' });
  onTestFinished(() => store.close());
  await store.createMachine({ machineId: 'dm-one', now: 1 });
  return { store, database, user, url: url.href };
}

function create(store: Store, executionId: string) {
  const asked = { machineId: 'dm-one', command: ['/bin/true'], envKeys: [], stdinMode: 'none' as const };
  const execution = { ...asked, executionId, expiresAt: Date.now() + 60_000, createdBy: 'admin' };
  return store.createExecution({ execution, now: Date.now(), queueLimit: 100 });
}

test('without a connection left writes fail as unavailable, and succeed when there are connections again', async () => {
  const { store, database, user } = await storeOf('connections');
  expect(await create(store, 'ex-1')).toMatchObject({ outcome: 'created' });
  await database.query(`ALTER ROLE ${user} CONNECTION LIMIT 0`);
  // The connections that it has are enough.
  expect(await create(store, 'ex-2')).toMatchObject({ outcome: 'created' });
  await database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${user}'`);
  await expect(create(store, 'ex-3')).rejects.toThrow(StoreUnavailableError);
  await expect(store.cluster?.heartbeat({ draining: false })).rejects.toThrow(StoreUnavailableError);
  await database.query(`ALTER ROLE ${user} CONNECTION LIMIT -1`);
  await expect.poll(() => create(store, 'ex-4').catch(() => undefined), POLL).toMatchObject({ outcome: 'created' });
  expect(await store.getExecution({ machineId: 'dm-one', executionId: 'ex-3' })).toBeUndefined();
});

test('on a full disk a write fails as unavailable and leaves nothing, and succeeds when there is room again', async () => {
  const { store, database, url } = await storeOf('disk');
  // As PostgreSQL reports it when a table cannot grow.
  await database.query(
    `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
     CREATE TRIGGER full_disk BEFORE INSERT ON executions FOR EACH STATEMENT EXECUTE FUNCTION full_disk()`,
    url,
  );
  await expect(create(store, 'ex-1')).rejects.toThrow(StoreUnavailableError);
  await database.query('DROP TRIGGER full_disk ON executions', url);
  expect(await store.getExecution({ machineId: 'dm-one', executionId: 'ex-1' })).toBeUndefined();
  expect(await create(store, 'ex-1')).toMatchObject({ outcome: 'created' });
});
