-- One command on many machines. What is to be run is sealed, and wiped when the batch is over.
CREATE TABLE batches (
  batch INTEGER PRIMARY KEY AUTOINCREMENT,
  batch_id TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'cancelled')),
  cancelled INTEGER NOT NULL DEFAULT 0,
  sealed_request BLOB,
  max_concurrency INTEGER NOT NULL,
  max_failures INTEGER,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  completed_at INTEGER
) STRICT;
CREATE INDEX batches_running ON batches (status) WHERE status = 'running';

-- Its machines, in order. `outcome`: the end of its execution, or why it never got one; kept when the execution is deleted.
CREATE TABLE batch_members (
  batch INTEGER NOT NULL REFERENCES batches,
  position INTEGER NOT NULL,
  machine INTEGER NOT NULL REFERENCES machines,
  execution INTEGER,
  outcome TEXT,
  PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_members_open ON batch_members (batch, position) WHERE outcome IS NULL;
