-- Retention deletes an execution at once and clears its log bit by bit, so events refer to executions no longer.
CREATE TABLE events_alone (
  execution INTEGER NOT NULL,
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
INSERT INTO events_alone SELECT * FROM events;
DROP TABLE events;
ALTER TABLE events_alone RENAME TO events;
CREATE INDEX events_by_offset ON events (execution, type, stream_offset) WHERE stream_offset IS NOT NULL;

-- Deleted executions that still have events. Keys of executions are never given out again.
CREATE TABLE IF NOT EXISTS leftovers (
  execution INTEGER PRIMARY KEY
) STRICT;
