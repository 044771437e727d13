/** The store on PostgreSQL passes the contract. */
import { afterAll, beforeAll } from 'vitest';
import { openPostgresStore } from '../../src/store/postgres/store.ts';
import { TestPostgres } from '../helpers/postgres.ts';
import { describeStoreContract } from './contract.ts';

let postgres: TestPostgres | undefined;
let url: string | undefined;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});

afterAll(() => postgres?.stop());

describeStoreContract('PostgreSQL', async () => {
  if (postgres === undefined) throw new Error('PostgreSQL does not run');
  if (url === undefined) url = await postgres.schema();
  else await postgres.empty(url);
  return openPostgresStore({ url, version: 'test', now: () => 0 });
});
