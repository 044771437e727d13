-- One command on machines, again and again. What is to be run is sealed, as that of a batch.
CREATE TABLE schedules (
  schedule INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule_id TEXT NOT NULL UNIQUE,
  -- JSON: when it is due, on which machines, and what becomes of ticks that are missed or that meet an earlier run.
  definition TEXT NOT NULL,
  sealed_request BLOB NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- Ticks of an interval are counted from here.
  anchor_at INTEGER NOT NULL,
  -- Why it is not due; NULL: it is.
  paused TEXT,
  next_at INTEGER
) STRICT;
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

-- What became of its ticks: one row a tick, so that of several servers one takes it.
CREATE TABLE schedule_runs (
  run INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule INTEGER NOT NULL REFERENCES schedules ON DELETE CASCADE,
  due_at INTEGER NOT NULL,
  decided_at INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('starting', 'started', 'queued', 'skipped', 'missed', 'refused')),
  reason TEXT,
  batch_id TEXT,
  UNIQUE (schedule, due_at)
) STRICT;
CREATE INDEX schedule_runs_of ON schedule_runs (schedule, run);
CREATE INDEX schedule_runs_open ON schedule_runs (run) WHERE outcome IN ('starting', 'queued');
CREATE INDEX schedule_runs_started ON schedule_runs (schedule, run) WHERE outcome = 'started';
