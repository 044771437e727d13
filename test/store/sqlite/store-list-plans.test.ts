/** Each list reads the rows that it returns, through an index: no statement scans or sorts a table. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { makeDirectory, removeDirectory } from '../../helpers/directories.ts';
import { listsOf } from '../every-list.ts';

const WALK_OR_SORT = /^(SCAN|USE TEMP B-TREE)/;
/**
 * Values of the call, an index of the few executions that have not ended, a subquery with a limit, and the unfinished executions of a batch by
 * status, of which it has as many as it may.
 */
const SMALL =
  /^(SCAN (json_each|j VIRTUAL TABLE|executions USING INDEX executions_alive|\(subquery)|USE TEMP B-TREE FOR GROUP BY)/;

let directory: string;
let store: Store;
let explainer: Sqlite.Database;
/** The statements that read rows since the last clear, each with the parameters of its last run. */
const ran = new Map<string, unknown[]>();
const { prepare } = Sqlite.prototype;

beforeAll(() => {
  directory = makeDirectory('plans');
  recordStatements();
  store = openSqliteStore({ path: join(directory, 'plans.db'), now: 0 });
  explainer = new Sqlite(join(directory, 'plans.db'));
});
afterAll(async () => {
  Sqlite.prototype.prepare = prepare;
  explainer.close();
  await store.close();
  await removeDirectory(directory);
});

const PAGES = [{ limit: 50 }, { limit: 50, after: 20_000 }];

test.each(PAGES.flatMap((page) => Object.entries(listsOf(page))))('%s', async (_name, list) => {
  ran.clear();
  await list(store);
  expect(ran.size).toBeGreaterThan(0);
  const steps = [...ran].flatMap(([sql, parameters]) => planOf(sql, parameters).map((step) => `${step} in ${sql}`));
  expect(steps.filter((step) => WALK_OR_SORT.test(step) && !SMALL.test(step))).toEqual([]);
});

test('a search for what succeeded on many machines ends, however many others failed since', async () => {
  ran.clear();
  const machineIds = Array.from({ length: 500 }, (_, at) => `dm-${at}`);
  for (const machineId of machineIds) await store.createMachine({ machineId, now: 1 });
  await store.listAllExecutions({ machineIds, status: 'succeeded', limit: 50 });
  const walks = [...ran].filter(([sql, parameters]) =>
    planOf(sql, parameters).includes('SEARCH e USING INTEGER PRIMARY KEY (rowid<?)'),
  );
  expect(walks).toHaveLength(1);
  expect(walks.filter(([sql]) => sql.includes('e.status'))).toEqual([]);
});

test('the list of what succeeded reads the keys near executions that succeeded, and no long run of failures', async () => {
  ran.clear();
  await listsOf({ limit: 50 })['all executions, "succeeded"']?.(store);
  const steps = [...ran].flatMap(([sql, parameters]) => planOf(sql, parameters));
  expect(steps.slice(0, 2)).toEqual([
    'SEARCH s USING INTEGER PRIMARY KEY (rowid<?)',
    'SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)',
  ]);
});

test('the artifacts of an execution are found by their execution: its machine may have many others', async () => {
  ran.clear();
  await listsOf({ limit: 50 })['artifacts of an execution']?.(store);
  const steps = [...ran].flatMap(([sql, parameters]) => planOf(sql, parameters));
  expect(steps).toContain('SEARCH a USING INDEX artifacts_of_execution (execution_public_id=? AND id<?)');
});

test('the check notices a scan and a sort', () => {
  const plan = planOf('SELECT * FROM executions ORDER BY created_at');
  expect(plan).toEqual(['SCAN executions', 'USE TEMP B-TREE FOR ORDER BY']);
});

function planOf(sql: string, parameters: unknown[] = []): string[] {
  const explain = explainer.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`);
  return explain.all(...parameters).map(({ detail }) => detail);
}

/** Records each following statement that reads rows. */
function recordStatements(): void {
  Sqlite.prototype.prepare = function (this: Sqlite.Database, sql: string) {
    const statement = prepare.call(this, sql);
    for (const name of ['all', 'iterate', 'get'] as const) {
      const run = statement[name].bind(statement) as (...parameters: unknown[]) => unknown;
      Object.assign(statement, {
        [name]: (...parameters: unknown[]) => {
          ran.set(sql, parameters);
          return run(...parameters);
        },
      });
    }
    return statement;
  } as typeof prepare;
}
