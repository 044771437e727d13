/**
 * Measures the p99 of each list of the PostgreSQL store with 500,000 executions on 20,000 machines, compared with a database of little more
 * than the listed pages (`lists` does the same for SQLite).
 */
import { openPostgresStore } from '../src/store/postgres/store.ts';
import type { Store } from '../src/store/store.ts';
import { TestPostgres } from '../test/helpers/postgres.ts';
import { fillStatements, type Size } from '../test/store/postgres/fill-statements.ts';
import { compareLists, type MeasuredStore } from './list-times.ts';
import { TINY } from './rounds.ts';

/** Both have the same number of executions for each machine, so that the lists of a machine have as many rows. */
const SMALL: Size = { machines: 200, executions: 5000 };
const LARGE: Size = TINY ? { machines: 400, executions: 10_000 } : { machines: 20_000, executions: 500_000 };
const SAMPLES = TINY ? 5 : 200;

const postgres = await TestPostgres.start();
const stores: Store[] = [];
try {
  const small = await open(SMALL);
  const large = await open(LARGE);
  process.stdout.write(`\np99 of each list, ms: ${LARGE.executions} executions on ${LARGE.machines} machines\n`);
  await compareLists('postgres-lists', { small, large, samples: SAMPLES });
} finally {
  for (const store of stores) await store.close();
  await postgres.stop();
}

async function open(size: Size): Promise<MeasuredStore> {
  const url = await postgres.schema();
  const store = await openPostgresStore({ url, version: 'bench', now: () => 0 });
  stores.push(store);
  for (const statement of fillStatements(size)) await postgres.query(statement, url);
  return { store, size, times: new Map() };
}
