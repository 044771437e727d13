/**
 * p99 of each list of the store with 5 million executions and 50,000 machines, against a database that holds little more than a page:
 * equal figures mean that history costs nothing. SQLite.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import { makeDirectory, removeDirectory } from '../test/helpers/directories.ts';
import { listsOf } from '../test/store/every-list.ts';
import { percentile, say, TINY } from './rounds.ts';

interface Size {
  machines: number;
  executions: number;
}

const SMALL: Size = { machines: 200, executions: 400 };
const LARGE: Size = TINY ? { machines: 400, executions: 4000 } : { machines: 50_000, executions: 5_000_000 };
const SAMPLES = TINY ? 5 : 500;
/** Rows written in one transaction. */
const STEP = 250_000;

const directory = makeDirectory('bench-lists');
try {
  const small = await p99Of(join(directory, 'small.db'), SMALL);
  const large = await p99Of(join(directory, 'large.db'), LARGE);
  process.stdout.write(`\np99 of each list, ms: ${LARGE.executions} executions on ${LARGE.machines} machines\n`);
  for (const [name, few] of small) {
    const many = large.get(name) ?? Number.NaN;
    say('lists', name, { small: few, large: many, ratio: many / few });
  }
} finally {
  await removeDirectory(directory);
}

/** By the name of the list. The lists take turns, so that noise of the machine hits all alike. */
async function p99Of(path: string, size: Size): Promise<Map<string, number>> {
  await openSqliteStore({ path, now: 0 }).close();
  fill(path, size);
  const store = openSqliteStore({ path, now: 0 });
  const lists = Object.entries(listsOf({ limit: 50 })).map(([name, list]) => ({ name, list, times: [] as number[] }));
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    for (const { list, times } of lists) {
      const from = performance.now();
      await list(store);
      times.push(performance.now() - from);
    }
  }
  await store.close();
  return new Map(lists.map(({ name, times }) => [name, percentile(times, 0.99)]));
}

/** Machines with labels, and executions of all of them: 1 in 100 failed, and the newest 200 have not ended. */
function fill(path: string, { machines, executions }: Size): void {
  const database = new Database(path);
  database.pragma('synchronous = OFF');
  database.pragma('cache_size = -262144');
  const upTo = 'WITH RECURSIVE n(i) AS (SELECT @from UNION ALL SELECT i + 1 FROM n WHERE i < @to)';
  const run = (to: number, insert: string): void => {
    const statement = database.prepare(insert.replace('SELECT', `${upTo} SELECT`));
    for (let from = 1; from <= to; from += STEP) statement.run({ from, to: Math.min(from + STEP - 1, to) });
  };
  run(
    machines,
    `INSERT INTO machines (id, public_id, created_at, phase, last_transition_at, last_progress_at, name)
     SELECT i, 'dm-' || i, i, 'sleeping', i, i, 'name-' || i FROM n`,
  );
  run(machines, `INSERT INTO machine_labels SELECT i, 'role', iif(i % 2 = 0, 'web', 'db') FROM n`);
  run(machines, `INSERT INTO machine_labels SELECT i, 'rare', 'yes' FROM n WHERE i % 100 = 0`);
  const alive = `i > ${executions - 200}`;
  run(
    executions,
    `INSERT INTO executions (id, public_id, machine_id, status, created_at, expires_at, started_at, completed_at,
       dispatched_to, dispatch_number, last_sequence, last_event_at)
     SELECT i, 'ex-' || i, 1 + i % ${machines}, iif(${alive}, 'running', iif(i % 100 = 0, 'failed', 'succeeded')),
       i, i, i, iif(${alive}, NULL, i), 'runner', i, 4, i FROM n`,
  );
  run(
    executions,
    `INSERT INTO requests (execution_id, command, env_keys, stdin_mode, created_by, queued_bytes)
     SELECT i, '["true"]', '[]', 'none', 'admin', 0 FROM n`,
  );
  database.close();
}
