/**
 * Measures the p99 of each list of the SQLite store with 5 million executions and 50,000 machines, compared with a database of little more than
 * the listed pages. Equal figures mean that history has no cost. `--directory D` keeps the databases there, for the next run.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import { makeDirectory, removeDirectory } from '../test/helpers/directories.ts';
import { fillDatabase, type Size } from './floors/filled-database.ts';
import { compareLists, type MeasuredStore } from './list-times.ts';
import { TINY } from './rounds.ts';

const SMALL: Size = { machines: 200, executions: 2000 };
const LARGE: Size = TINY ? { machines: 400, executions: 4000 } : { machines: 50_000, executions: 5_000_000 };
const SAMPLES = TINY ? 5 : 500;

const { values } = parseArgs({ strict: false, options: { directory: { type: 'string' } } });
const directory = typeof values.directory === 'string' ? values.directory : makeDirectory('bench-lists');
try {
  const small = await open('small', SMALL);
  const large = await open('large', LARGE);
  process.stdout.write(`\np99 of each list, ms: ${LARGE.executions} executions on ${LARGE.machines} machines\n`);
  await compareLists('lists', { small, large, samples: SAMPLES });
  for (const { store } of [small, large]) await store.close();
} finally {
  if (values.directory === undefined) await removeDirectory(directory);
}

async function open(name: string, size: Size): Promise<MeasuredStore> {
  const path = join(directory, `${name}.db`);
  if (!existsSync(path)) await fillDatabase(path, size);
  return { store: openSqliteStore({ path, now: 0 }), size, times: new Map() };
}
