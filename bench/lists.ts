/**
 * Measures the p99 of each list of the SQLite store with 5 million executions and 50,000 machines, compared with a database of little more than
 * the listed pages. Equal figures mean that history has no cost. `--directory D` keeps the databases there, for the next run.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import { makeDirectory, removeDirectory } from '../test/helpers/directories.ts';
import { listsOf } from '../test/store/every-list.ts';
import { fillDatabase, type Size } from './floors/filled-database.ts';
import { percentile, say, TINY } from './rounds.ts';

const SMALL: Size = { machines: 200, executions: 2000 };
const LARGE: Size = TINY ? { machines: 400, executions: 4000 } : { machines: 50_000, executions: 5_000_000 };
const SAMPLES = TINY ? 5 : 500;

const { values } = parseArgs({ strict: false, options: { directory: { type: 'string' } } });
const directory = typeof values.directory === 'string' ? values.directory : makeDirectory('bench-lists');
try {
  const small = await open('small', SMALL);
  const large = await open('large', LARGE);
  for (let sample = 0; sample < SAMPLES; sample += 1) for (const each of [small, large]) await timeLists(each);
  process.stdout.write(`\np99 of each list, ms: ${LARGE.executions} executions on ${LARGE.machines} machines\n`);
  for (const [name, times] of small.times) {
    const few = percentile(times, 0.99);
    const many = percentile(large.times.get(name) ?? [], 0.99);
    say('lists', name, { small: few, large: many, ratio: many / few });
  }
  for (const { store } of [small, large]) await store.close();
} finally {
  if (values.directory === undefined) await removeDirectory(directory);
}

interface Measured {
  store: ReturnType<typeof openSqliteStore>;
  /** ms, by the name of the list. */
  times: Map<string, number[]>;
}

async function open(name: string, size: Size): Promise<Measured> {
  const path = join(directory, `${name}.db`);
  if (!existsSync(path)) await fillDatabase(path, size);
  return { store: openSqliteStore({ path, now: 0 }), times: new Map() };
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
