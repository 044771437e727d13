/**
 * Measures the p99 of each list of the PostgreSQL store with 500,000 executions on 20,000 machines, compared with a database of little more
 * than the listed pages (`lists` does the same for SQLite).
 */
import { openPostgresStore } from '../src/store/postgres/store.ts';
import type { Store } from '../src/store/store.ts';
import { TestPostgres } from '../test/helpers/postgres.ts';
import { listsOf } from '../test/store/every-list.ts';
import { fillStatements, type Size } from '../test/store/postgres/fill-statements.ts';
import { percentile, say, TINY } from './rounds.ts';

const SMALL: Size = { machines: 200, executions: 2000 };
const LARGE: Size = TINY ? { machines: 400, executions: 4000 } : { machines: 20_000, executions: 500_000 };
const SAMPLES = TINY ? 5 : 200;

interface Measured {
  store: Store;
  /** ms, by the name of the list. */
  times: Map<string, number[]>;
}

const postgres = await TestPostgres.start();
const stores: Store[] = [];
try {
  const small = await open(SMALL);
  const large = await open(LARGE);
  for (let sample = 0; sample < SAMPLES; sample += 1) for (const each of [small, large]) await timeLists(each);
  process.stdout.write(`\np99 of each list, ms: ${LARGE.executions} executions on ${LARGE.machines} machines\n`);
  for (const [name, times] of small.times) {
    const few = percentile(times, 0.99);
    const many = percentile(large.times.get(name) ?? [], 0.99);
    say('postgres-lists', name, { small: few, large: many, ratio: many / few });
  }
} finally {
  for (const store of stores) await store.close();
  await postgres.stop();
}

async function open(size: Size): Promise<Measured> {
  const url = await postgres.schema();
  const store = await openPostgresStore({ url, version: 'bench', now: () => 0 });
  stores.push(store);
  for (const statement of fillStatements(size)) await postgres.query(statement, url);
  return { store, times: new Map() };
}

/** Reads a page of each list once. The lists and the databases take turns, so that noise of the machine affects all alike. */
async function timeLists({ store, times }: Measured): Promise<void> {
  for (const [name, list] of Object.entries(listsOf({ limit: 50 }))) {
    const from = performance.now();
    await list(store);
    const own = times.get(name) ?? [];
    own.push(performance.now() - from);
    times.set(name, own);
  }
}
