-- Rows are found by small integer keys of ours; the public ids are looked up once per request. Times are ms since the epoch.
-- Counts, sizes and figures behind this layout: bench/store.ts.

CREATE TABLE machines (
  machine INTEGER PRIMARY KEY,
  machine_id TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  vcpu REAL NOT NULL DEFAULT 0,
  memory_mib INTEGER NOT NULL DEFAULT 0,
  storage_gib INTEGER NOT NULL DEFAULT 0,
  phase TEXT NOT NULL CHECK (phase IN ('placement_pending', 'running', 'sleeping', 'destroyed')),
  revision INTEGER NOT NULL DEFAULT 1,
  last_transition_at INTEGER NOT NULL,
  last_progress_at INTEGER NOT NULL,
  -- When it was last known to be connected or could have been: set at disconnection, and anew when the server starts.
  away_since INTEGER,
  runner_instance TEXT,
  boot_id TEXT,
  credential_hash BLOB,
  -- The join token that the present credential came from, and whether it took the place of another: for repeated enrolments.
  enrolled_with INTEGER,
  credential_replaced INTEGER NOT NULL DEFAULT 0,
  last_dispatch_number INTEGER NOT NULL DEFAULT 0,
  -- How many of its executions are neither dispatched nor ended: kept by the transactions that change it, never counted.
  waiting INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX machines_by_credential ON machines (credential_hash) WHERE credential_hash IS NOT NULL;
CREATE INDEX machines_away ON machines (away_since) WHERE phase = 'sleeping';

-- What changes while an execution lives. Kept narrow: every report rewrites the row.
CREATE TABLE executions (
  execution INTEGER PRIMARY KEY AUTOINCREMENT,
  execution_id TEXT NOT NULL UNIQUE,
  machine INTEGER NOT NULL REFERENCES machines,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  started_at INTEGER,
  completed_at INTEGER,
  cancel_requested_at INTEGER,
  cancelled_by TEXT,
  dispatched_to TEXT,
  dispatch_number INTEGER,
  exit_code INTEGER,
  signal INTEGER,
  error_code TEXT,
  error_message TEXT,
  stdout_bytes INTEGER NOT NULL DEFAULT 0,
  stdout_kept INTEGER NOT NULL DEFAULT 0,
  stdout_truncated INTEGER NOT NULL DEFAULT 0,
  stderr_bytes INTEGER NOT NULL DEFAULT 0,
  stderr_kept INTEGER NOT NULL DEFAULT 0,
  stderr_truncated INTEGER NOT NULL DEFAULT 0,
  last_sequence INTEGER NOT NULL,
  last_event_at INTEGER NOT NULL,
  reported INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX executions_by_machine ON executions (machine);
CREATE INDEX executions_by_status ON executions (machine, status);
-- The three below hold only what is alive (or, the last, what is not), so that they stay small however long the history.
CREATE INDEX executions_waiting ON executions (expires_at, status, created_at)
  WHERE dispatched_to IS NULL AND completed_at IS NULL;
CREATE INDEX executions_dispatched ON executions (machine, dispatch_number)
  WHERE dispatched_to IS NOT NULL AND completed_at IS NULL;
CREATE INDEX executions_finished ON executions (completed_at) WHERE completed_at IS NOT NULL;

-- What was asked for. Never changes, and may be megabytes: hence not in the row that every report rewrites.
CREATE TABLE requests (
  execution INTEGER PRIMARY KEY REFERENCES executions,
  command TEXT NOT NULL,
  cwd TEXT,
  env_keys TEXT NOT NULL,
  user TEXT,
  timeout_ms INTEGER,
  stdin_mode TEXT NOT NULL,
  callback_url TEXT,
  created_by TEXT NOT NULL
) STRICT;

-- env and stdin, sealed; a row lives until its execution ends.
CREATE TABLE sealed_inputs (
  execution INTEGER PRIMARY KEY REFERENCES executions,
  sealed BLOB NOT NULL
) STRICT;

-- The log, clustered by execution. `stream_offset`: bytes of that stream before this chunk.
CREATE TABLE events (
  execution INTEGER NOT NULL REFERENCES executions,
  sequence INTEGER NOT NULL,
  at INTEGER NOT NULL,
  type TEXT NOT NULL CHECK (type IN ('lifecycle', 'stdout', 'stderr')),
  stream_offset INTEGER,
  chunk INTEGER,
  status TEXT,
  exit_code INTEGER,
  signal INTEGER,
  error_code TEXT,
  error_message TEXT,
  PRIMARY KEY (execution, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_offset ON events (execution, type, stream_offset) WHERE stream_offset IS NOT NULL;

-- The bytes, appended in the order of arrival and away from the events, so that those stay dense.
CREATE TABLE chunks (
  chunk INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE idempotency (
  api_key_id TEXT NOT NULL,
  key TEXT NOT NULL,
  digest BLOB NOT NULL,
  resource TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (api_key_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE TABLE callbacks (
  callback INTEGER PRIMARY KEY AUTOINCREMENT,
  execution INTEGER NOT NULL REFERENCES executions,
  attempt INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX callbacks_by_due ON callbacks (due_at);
CREATE INDEX callbacks_by_execution ON callbacks (execution);

CREATE TABLE join_tokens (
  join_token INTEGER PRIMARY KEY AUTOINCREMENT,
  join_token_id TEXT NOT NULL UNIQUE,
  token_hash BLOB NOT NULL UNIQUE,
  machine_id TEXT,
  reusable INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER,
  revoked_at INTEGER
) STRICT;
CREATE INDEX join_tokens_by_expiry ON join_tokens (expires_at);

CREATE TABLE api_keys (
  api_key INTEGER PRIMARY KEY AUTOINCREMENT,
  api_key_id TEXT NOT NULL UNIQUE,
  key_hash BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  machine_ids TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT;

CREATE TABLE audit (
  audit INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  source TEXT NOT NULL,
  action TEXT NOT NULL,
  machine_id TEXT,
  resource TEXT,
  command TEXT,
  outcome TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_machine ON audit (machine_id) WHERE machine_id IS NOT NULL;

-- One row, written to find out whether the disk takes a write.
CREATE TABLE writable (touched INTEGER NOT NULL) STRICT;
INSERT INTO writable VALUES (0);
