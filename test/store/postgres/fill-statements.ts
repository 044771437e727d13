/** SQL that fills a new PostgreSQL database with the rows that a server would have left. */

export interface Size {
  machines: number;
  executions: number;
}

/** Machines with labels, executions of all of them, of which a few have not ended, and as many artifacts of dm-1. Those of ex-1 are its oldest. */
export const fillStatements = ({ machines, executions }: Size): string[] => [
  `INSERT INTO machines (public_id, created_at, phase, last_transition_at, last_progress_at, name)
   SELECT 'dm-' || i, i, 'running', i, i, 'name-' || i FROM generate_series(1, ${machines}) i`,
  `INSERT INTO machine_labels SELECT id, 'role', CASE WHEN id % 2 = 0 THEN 'web' ELSE 'db' END FROM machines
   UNION ALL SELECT id, 'rare', 'yes' FROM machines WHERE id % 400 = 0`,
  `INSERT INTO executions (public_id, machine_id, status, created_at, expires_at, started_at, completed_at, dispatched_to, last_sequence, last_event_at)
   SELECT 'ex-' || i, (SELECT min(id) FROM machines) + i % ${machines},
     CASE WHEN i > ${executions - 200} THEN 'running' WHEN i % 100 = 0 THEN 'failed' ELSE 'succeeded' END,
     i, i, i, CASE WHEN i > ${executions - 200} THEN NULL ELSE i END, 'runner', 4, i FROM generate_series(1, ${executions}) i`,
  `INSERT INTO requests (execution_id, command, env_keys, stdin_mode, created_by, queued_bytes, callback_url)
   SELECT id, '["true"]', '[]', 'none', 'admin', 0, CASE WHEN id % 10 = 0 THEN 'https://example.com' END FROM executions`,
  `INSERT INTO callbacks (execution_id, attempt, created_at, due_at)
   SELECT execution_id, 1, 1, 1 FROM requests WHERE callback_url IS NOT NULL ORDER BY execution_id`,
  `INSERT INTO artifacts (public_id, machine_id, execution_public_id, name, bytes, sha256, created_at, expires_at)
   SELECT 'ar-' || i, (SELECT min(id) FROM machines), CASE WHEN i <= 60 THEN 'ex-1' ELSE 'ex-' || ${machines} END, 'file-' || i, 1, 'sha256', i, i
   FROM generate_series(1, ${executions}) i`,
  `INSERT INTO batches (public_id, status, max_concurrency, created_by, created_at, completed_at, counts)
   SELECT 'batch-' || i, 'succeeded', 10, 'key-' || i % 200, i, i, '{"succeeded":1}' FROM generate_series(1, 20000) i`,
  `INSERT INTO audit (at, actor, source, action, machine_public_id, outcome)
   SELECT i, 'admin', '', 'execution.create', 'dm-' || i % ${machines}, '200' FROM generate_series(1, 20000) i`,
  'ANALYZE',
];
