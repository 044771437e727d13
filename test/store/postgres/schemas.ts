/** Registers hooks that start PostgreSQL once, give each test an empty schema, and close the stores that the test opened. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import { T0 } from '../contract/fixture.ts';

export interface Schemas {
  /** URL of the schema of the present test. */
  readonly url: string;
  /** Opens a store; on the schema of the present test unless `url` names another. */
  open(url?: string): Promise<Store>;
  /** Closes a store before the end of the test. */
  close(store: Store): Promise<void>;
  /** Port of PostgreSQL on the loopback interface. */
  readonly port: number;
  /** Runs SQL in the schema of the present test. */
  query<Row extends object>(text: string): Promise<Row[]>;
}

export function useSchemas(): Schemas {
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
  return {
    get url() {
      return url;
    },
    async open(at = url) {
      const store = await openPostgresStore({ url: at, version: 'test', now: () => T0 });
      stores.push(store);
      return store;
    },
    async close(store) {
      stores.splice(stores.indexOf(store), 1);
      await store.close();
    },
    get port() {
      return postgres?.port ?? 0;
    },
    async query<Row extends object>(text: string) {
      if (postgres === undefined) throw new Error('PostgreSQL does not run');
      return postgres.query<Row>(text, url);
    },
  };
}
