/**
 * Fills a SQLite store with executions, machines and everything else that is listed. The rows that the requests of `listsOf` name (dm-1, dm-2,
 * ex-1, batch-1, schedule-1) are the same in number at each size, so that two sizes differ only in the rows that a list should not read.
 */
import Database from 'better-sqlite3';
import { definitionText } from '../../src/store/rows/schedule-row.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';

export interface Size {
  machines: number;
  executions: number;
}

/** Executions of each of dm-1 and dm-2, spread over all keys. The newest `ALIVE` wait or run, and 1 in 4 of the others has failed. */
const OF_NAMED = 400;
const ALIVE = 120;
/** Step between the machines of consecutive executions. It is coprime to the number of the other machines. */
const SPREAD = 7919;
/** Number of rows in the lists of dm-1, ex-1, batch-1 and schedule-1: more than a page. */
const PAGE = 60;
const DEFINITION = {
  timing: { everyMs: 60_000 },
  selector: { labels: {} },
  overlap: 'skip',
  catchUp: false,
  maxConcurrency: 1,
  shown: { command: ['true'], envKeys: [] },
} as const;
/** What the store keeps beside the executions to search them by. */
export const SEARCHED = `
  UPDATE machines SET newest_execution = newest.id
    FROM (SELECT machine_id, max(id) AS id FROM executions GROUP BY machine_id) newest WHERE newest.machine_id = machines.id;
  UPDATE machines SET next_expiry = (SELECT min(expires_at) FROM executions
    WHERE machine_id = machines.id AND dispatch_number IS NULL AND completed_at IS NULL);
  INSERT OR IGNORE INTO succeeded_spans SELECT DISTINCT id / 64 FROM executions WHERE status = 'succeeded';`;
/** Rows written in one transaction. */
const STEP = 250_000;

/** Creates the store at `path`. `machines` is at least 200, and `executions` at least 2,000. */
export async function fillDatabase(path: string, size: Size): Promise<void> {
  await openSqliteStore({ path, now: 0 }).close();
  const database = new Database(path);
  database.pragma('synchronous = OFF');
  database.pragma('cache_size = -262144');
  database.pragma('foreign_keys = OFF');
  const insert = (rows: number, statement: string): void => {
    // The driver binds numbers as REAL: 'dm-' || 1.0 is another name than 'dm-1'.
    const upTo = 'WITH RECURSIVE n(i) AS (SELECT CAST(@from AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i < @to)';
    const run = database.prepare(statement.replace('SELECT', `${upTo} SELECT`));
    for (let from = 1; from <= rows; from += STEP) run.run({ from, to: Math.min(from + STEP - 1, rows) });
  };
  fillMachines(insert, size);
  fillExecutions(insert, size);
  fillOthers(insert, size);
  database.exec(SEARCHED);
  database.close();
}

type Insert = (rows: number, statement: string) => void;

/** Half of the machines have one role and half the other; 100 have a rare label. */
function fillMachines(insert: Insert, { machines }: Size): void {
  const role = "iif(i % 2 = 0, 'web', 'db')";
  insert(
    machines,
    `INSERT INTO machines (id, public_id, created_at, phase, last_transition_at, last_progress_at, name, own_labels)
     SELECT i, 'dm-' || i, i, 'sleeping', i, i, 'name-' || i, json_object('role', ${role}) FROM n`,
  );
  insert(machines, `INSERT INTO machine_labels SELECT i, 'role', ${role} FROM n`);
  insert(machines, `INSERT INTO machine_labels SELECT i, 'rare', 'yes' FROM n WHERE i % ${machines / 100} = 0`);
}

/** SQL: the machine of the execution or audit entry `i`. */
const machineOf = ({ machines, executions }: Size): string => {
  const stride = executions / OF_NAMED;
  return `iif(i % ${stride} < 2, 1 + i % ${stride}, 3 + i * ${SPREAD} % ${machines - 2})`;
};

function fillExecutions(insert: Insert, size: Size): void {
  const { executions } = size;
  const stride = executions / OF_NAMED;
  const machine = machineOf(size);
  const now = executions;
  const alive = `iif(i % ${stride} < 2, i / ${stride} >= ${OF_NAMED - ALIVE}, i > ${executions - 200})`;
  const failed = `iif(i % ${stride} < 2, i / ${stride} % 4 = 0, i % 100 = 0)`;
  const status = `iif(${alive}, iif(i / ${stride} % 2 = 0, 'running', 'queued'), iif(${failed}, 'failed', 'succeeded'))`;
  insert(
    executions,
    `INSERT INTO executions (id, public_id, machine_id, status, created_at, expires_at, started_at, completed_at,
       dispatched_to, dispatch_number, last_sequence, last_event_at)
     SELECT i, 'ex-' || i, machine, status, i, i, iif(status = 'queued', NULL, i), iif(status IN ('queued', 'running'), NULL, i),
       iif(status = 'queued', NULL, 'runner'), iif(status = 'queued', NULL, i), 4, i
     FROM (SELECT i, ${machine} AS machine, ${status} AS status FROM n)`,
  );
  insert(
    executions,
    `INSERT INTO requests (execution_id, command, env_keys, stdin_mode, created_by, queued_bytes)
     SELECT i, '["true"]', '[]', 'none', 'admin', 0 FROM n`,
  );
  insert(
    PAGE,
    `INSERT INTO executions (public_id, machine_id, status, created_at, expires_at, started_at, completed_at, dispatched_to,
       dispatch_number, last_sequence, last_event_at, is_terminal)
     SELECT 'terminal-' || i, 1, 'succeeded', ${now}, ${now}, ${now}, ${now}, 'runner', 0, 4, ${now}, 1 FROM n`,
  );
  insert(
    PAGE,
    `INSERT INTO requests (execution_id, command, env_keys, stdin_mode, created_by, queued_bytes)
     SELECT ${executions} + i, '["sh"]', '[]', 'none', 'admin', 0 FROM n`,
  );
}

/**
 * One of each thing for each thousandth execution; an entry of the audit log for each execution, an artifact for each tenth. Half of the
 * artifacts are of dm-1, and those of ex-1 are its oldest.
 */
function fillOthers(insert: Insert, size: Size): void {
  const { machines, executions } = size;
  const few = Math.max(PAGE, executions / 1000);
  const named = `iif(i <= ${PAGE}, 1, 2 + i % ${machines - 1})`;
  insert(
    PAGE,
    `INSERT INTO events (execution_id, sequence, at, type, status) SELECT 1, i, i, 'lifecycle', 'running' FROM n`,
  );
  insert(
    Math.max(PAGE, executions / 10),
    `INSERT INTO artifacts (public_id, machine_id, execution_public_id, name, bytes, sha256, created_at, expires_at)
     SELECT 'ar-' || i, iif(i % 2 = 0, 1, ${named}), 'ex-' || ${named}, 'file-' || i, 1, 'sha256', i, i FROM n`,
  );
  insert(
    executions,
    `INSERT INTO audit (at, actor, source, action, machine_public_id, command, outcome)
     SELECT i, 'admin', '127.0.0.1', 'execution.create', 'dm-' || ${machineOf(size)}, '["true"]', 'ok' FROM n`,
  );
  insert(
    few,
    `INSERT INTO batches (public_id, status, max_concurrency, created_by, created_at, completed_at, counts)
     SELECT 'batch-' || i, 'succeeded', 1, iif(i <= ${PAGE}, 'key-1', 'key-2'), i, i, '{}' FROM n`,
  );
  insert(
    few * PAGE,
    `INSERT INTO batch_members (batch_id, position, machine_id, execution_id, outcome)
     SELECT 1 + (i - 1) / ${PAGE}, i % ${PAGE}, 1, i % ${executions} + 1, 'succeeded' FROM n`,
  );
  insert(
    few,
    `INSERT INTO schedules (schedule_id, definition, sealed_request, created_by, created_at, anchor_at)
     SELECT 'schedule-' || i, '${definitionText(DEFINITION)}', x'00',
       iif(i <= ${PAGE}, 'key-1', 'key-2'), i, i FROM n`,
  );
  insert(
    few * PAGE,
    `INSERT INTO schedule_runs (schedule, due_at, decided_at, outcome, batch_id)
     SELECT 1 + (i - 1) / ${PAGE}, i, i, 'started', 'batch-1' FROM n`,
  );
  insert(few, `INSERT INTO callbacks (execution_id, created_at, due_at) SELECT i, i, i FROM n`);
  insert(
    few,
    `INSERT INTO api_keys (public_id, key_hash, name, scopes, created_at)
     SELECT 'key-' || i, CAST(i AS BLOB), 'key', '["admin"]', i FROM n`,
  );
  insert(
    few,
    `INSERT INTO join_tokens (public_id, token_hash, reusable, created_at, expires_at)
     SELECT 'token-' || i, CAST(i AS BLOB), 1, i, i FROM n`,
  );
}
