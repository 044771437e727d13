/** Each list reads about as many rows as it returns, for any other content of the database, and no statement scans a large table. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Statement, StatementGroup } from '../../../src/store/postgres/connections/statement-group.ts';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import { listsOf } from '../every-list.ts';
import { fillStatements } from './fill-statements.ts';
import { rowsTouchedBy } from './rows-touched.ts';

const MACHINES = 2000;
const EXECUTIONS = 40_000;
/** The rows that a list may touch: those that a list of many machines searches, with their keys and related rows. A walk touches all 40,000. */
const MAX_TOUCHED = 10_000;

let postgres: TestPostgres;
let store: Store;
let explainer: pg.Client;
/** The SELECT statements since the last clear. */
const sent: Statement[] = [];
const query = pg.Client.prototype.query as (this: pg.Client, ...parameters: unknown[]) => unknown;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  const url = await postgres.schema();
  pg.Client.prototype.query = function (this: pg.Client, ...parameters: unknown[]) {
    const [first] = parameters;
    if (first instanceof StatementGroup)
      sent.push(...first.statements.filter(({ text }) => /^\s*(SELECT|WITH)/.test(text)));
    return query.apply(this, parameters);
  } as typeof pg.Client.prototype.query;
  store = await openPostgresStore({ url, version: 'test', now: () => 0 });
  for (const statement of fillStatements({ machines: MACHINES, executions: EXECUTIONS }))
    await postgres.query(statement, url);
  explainer = new pg.Client({ connectionString: url });
  await explainer.connect();
}, 120_000);
afterAll(async () => {
  Object.assign(pg.Client.prototype, { query });
  await explainer.end();
  await store.close();
  await postgres.stop();
});

const PAGES = [{ limit: 50 }, { limit: 50, after: 20_000 }];

test.each(PAGES.flatMap((page) => Object.entries(listsOf(page))))('%s', async (_name, list) => {
  sent.length = 0;
  await list(store);
  const queries = [...sent];
  expect(queries).not.toEqual([]);
  for (const { text, values = [] } of queries) {
    expect(await rowsTouchedBy(explainer, { text, values }), text).toBeLessThan(MAX_TOUCHED);
  }
});

test('the newest executions are found for many machines whose executions are old', async () => {
  const machineIds = ['dm-5', ...Array.from({ length: 150 }, (_, at) => `dm-none-${at}`)];
  const { items } = await store.listAllExecutions({ machineIds, limit: 10 });
  // Every 2000th execution belongs to the same machine.
  const newest = Array.from({ length: 10 }, (_, at) => `ex-${EXECUTIONS - MACHINES + 4 - at * MACHINES}`);
  expect(items.map(({ executionId }) => executionId)).toEqual(newest);
});

test('the newest executions are found for most machines, if the others have the newest of all', async () => {
  const machineIds = Array.from({ length: 1200 }, (_, at) => `dm-${at + 201}`);
  const { items } = await store.listAllExecutions({ machineIds, limit: 10 });
  // The executions are of the machines in turn, and execution 40,000 is of dm-1.
  expect(items.map(({ executionId }) => executionId)).toEqual(
    Array.from({ length: 10 }, (_, at) => `ex-${EXECUTIONS - MACHINES + 1399 - at}`),
  );
});

test('a list of many machines, few of whose executions wait, asks no machine on its own', async () => {
  sent.length = 0;
  await store.listAllExecutions({ labels: [{ key: 'role' }], status: 'queued', limit: 50 });
  expect(sent.map(({ text }) => text).filter((text) => text.includes('LATERAL'))).toEqual([]);
});

test('the measurement notices a table scan', async () => {
  const text = "SELECT * FROM executions e WHERE e.error_message = 'none' ORDER BY e.id DESC LIMIT 10";
  expect(await rowsTouchedBy(explainer, { text })).toBeGreaterThanOrEqual(EXECUTIONS);
});
