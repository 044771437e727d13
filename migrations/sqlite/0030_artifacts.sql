-- Files that commands left. They are kept here, in pieces, and not as files beside the database: a piece and the number of its report
-- are committed together, a backup has both as of one moment, and with several servers a file would be on one of them only.
CREATE TABLE artifacts (
  artifact INTEGER PRIMARY KEY,
  artifact_id TEXT NOT NULL UNIQUE,
  machine INTEGER NOT NULL REFERENCES machines (machine),
  execution_id TEXT NOT NULL,
  name TEXT NOT NULL,
  bytes INTEGER NOT NULL DEFAULT 0,
  -- Hexadecimal; NULL as long as bytes are missing. Nobody sees such a one.
  sha256 TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  -- By a caller: its bytes are gone, and the row answers retries of the deletion for a while.
  deleted_at INTEGER
) STRICT;
CREATE INDEX artifacts_of_machine ON artifacts (machine, artifact) WHERE sha256 IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX artifacts_expiry ON artifacts (expires_at);
CREATE INDEX artifacts_deleted ON artifacts (deleted_at) WHERE deleted_at IS NOT NULL;

-- Bytes of all that are not deleted, unfinished ones included: what the quota is held against.
CREATE TABLE artifact_total (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL) STRICT;
INSERT INTO artifact_total (one, bytes) VALUES (1, 0);

CREATE TABLE artifact_pieces (
  artifact INTEGER NOT NULL,
  position INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;
CREATE INDEX artifact_pieces_position ON artifact_pieces (artifact, position);

-- Artifacts that are gone for everybody, but for their pieces.
CREATE TABLE artifact_purge (artifact INTEGER PRIMARY KEY) STRICT;

-- JSON, as core/artifact.ts has it: what an execution asked for, and what it has, the unfinished one included.
ALTER TABLE requests ADD COLUMN artifacts TEXT;
ALTER TABLE executions ADD COLUMN artifacts TEXT;
