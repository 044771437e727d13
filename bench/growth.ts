/** (f) Measures the p99 of get, list and events over a growing database. Equal figures mean that old executions have no cost. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Deployment } from '../test/helpers/harness.ts';
import { SEARCHED } from './floors/filled-database.ts';
import { type Requests, requestsTo } from './requests.ts';
import { percentile, say, TINY } from './rounds.ts';

const SIZES = TINY ? [50, 100] : (process.env['BENCH_ROWS'] ?? '5000,1000000,5000000').split(',').map(Number);
const SAMPLES = TINY ? 5 : 2000;
/** Rows written in one transaction. */
const STEP = 250_000;
const MACHINE = 'dm-growth';

/** The event log of each execution: that of a command that prints a line. */
const EVENTS = [
  [1, 'status', `'lifecycle', 'queued'`],
  [2, 'status', `'lifecycle', 'running'`],
  [3, 'stream_offset, chunk_id', `'stdout', 0, (SELECT max(id) FROM chunks) - (@to - i)`],
  [4, 'status, exit_code', `'lifecycle', iif(i % 100 = 0, 'failed', 'succeeded'), i % 100 = 0`],
] as const;

const deployment = await Deployment.start({ server: { EXECPLANE_LOG_LEVEL: 'warn' }, machine: null });
try {
  await deployment.client.ask('POST', '/v1/join-tokens', { body: {} });
  await deployment.server.stop();
  let rows = 0;
  process.stdout.write('\ngrowth of the database: p99 in ms, one request at a time\n');
  for (const size of SIZES) {
    for (; rows < size; rows = Math.min(rows + STEP, size)) grow(rows, Math.min(rows + STEP, size));
    await deployment.server.restart();
    const api = requestsTo(deployment.server.url, deployment.server.key, 1);
    try {
      await probe(api, size);
    } finally {
      await api.close();
    }
    await deployment.server.stop();
  }
  await deployment.server.restart();
} finally {
  await deployment.dispose();
}

/** The paths of a dashboard, each for a random execution or page. */
async function probe(api: Requests, rows: number): Promise<void> {
  const base = `/v1/machines/${MACHINE}/executions`;
  const any = (): string => `ex-bench${1 + Math.floor(Math.random() * rows)}`;
  const paths: Record<string, () => string> = {
    get: () => `${base}/${any()}`,
    events: () => `${base}/${any()}/events`,
    output: () => `${base}/${any()}/output`,
    'list, newest': () => base,
    'list, failed': () => `${base}?status=failed`,
  };
  const p99: Record<string, number> = {};
  for (const [name, path] of Object.entries(paths)) {
    const times: number[] = [];
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const from = performance.now();
      const { status } = await api.get(path());
      times.push(performance.now() - from);
      if (status !== 200) throw new Error(`${path()} answered ${status}`);
    }
    p99[name] = percentile(times, 0.99);
  }
  say('growth', `${rows} executions, ${databaseMegabytes()} MB`, p99);
}

/** Writes finished executions `from`+1 to `to` directly into the database, in the form that the server would have left. */
function grow(from: number, to: number): void {
  const database = new Database(databaseFile());
  database.pragma('synchronous = OFF');
  database.pragma('cache_size = -262144');
  const now = Date.now();
  database
    .prepare(
      `INSERT OR IGNORE INTO machines (public_id, created_at, phase, last_transition_at, last_progress_at) VALUES (?, ?, 'sleeping', ?, ?)`,
    )
    .run(MACHINE, now, now, now);
  const { id: machine, base } = database
    .prepare(`SELECT id, (SELECT coalesce(max(id), 0) FROM executions) AS base FROM machines WHERE public_id = ?`)
    .get(MACHINE) as { id: number; base: number };
  const numbers =
    'WITH RECURSIVE n(i) AS (SELECT CAST(@from AS INTEGER) + 1 UNION ALL SELECT i + 1 FROM n WHERE i < @to)';
  const values = { from, to, machine, base: base - from, now };
  database.transaction(() => {
    database
      .prepare(
        `INSERT INTO executions (id, public_id, machine_id, status, created_at, expires_at, started_at, completed_at, dispatched_to, dispatch_number, exit_code, error_code, last_sequence, last_event_at, stdout_bytes, stdout_kept)
         ${numbers} SELECT @base + i, 'ex-bench' || i, @machine, iif(i % 100 = 0, 'failed', 'succeeded'), @now, @now, @now, @now, 'bench', i, i % 100 = 0, iif(i % 100 = 0, 'nonzero_exit', NULL), 4, @now, 6, 6 FROM n`,
      )
      .run(values);
    database
      .prepare(
        `INSERT INTO requests (execution_id, command, env_keys, stdin_mode, created_by) ${numbers} SELECT @base + i, '["echo","bench"]', '[]', 'none', 'admin' FROM n`,
      )
      .run(values);
    database
      .prepare(
        `INSERT INTO chunks (id, bytes) ${numbers} SELECT (SELECT coalesce(max(id), 0) FROM chunks) + i - @from, CAST('bench' || char(10) AS BLOB) FROM n`,
      )
      .run(values);
    for (const [sequence, columns, row] of EVENTS) {
      database
        .prepare(
          `INSERT INTO events (execution_id, sequence, at, type, ${columns}) ${numbers} SELECT @base + i, ${sequence}, @now, ${row} FROM n`,
        )
        .run(values);
    }
  })();
  database.exec(SEARCHED);
  database.close();
}

function databaseFile(): string {
  const file = readdirSync(deployment.server.dataDir).find((name) => name.endsWith('.db'));
  if (file === undefined) throw new Error(`no database in ${readdirSync(deployment.server.dataDir)}`);
  return join(deployment.server.dataDir, file);
}

function databaseMegabytes(): number {
  return Math.round(statSync(databaseFile()).size / 1e6);
}
